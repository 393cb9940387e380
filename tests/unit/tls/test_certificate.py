import base64
import contextlib
from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.errors import BadConfig
from qvdnode.tls.certificate import LIFETIME, key_pem, new_key, read_identity, self_signed
from tests.fakes.clock import START as NOW

KEY = new_key()
PEM = self_signed(KEY, ["desk.example", "localhost"], [ip_address("192.0.2.7")], NOW)


def test_an_own_certificate_names_the_host() -> None:
    leaf = read_identity(PEM, key_pem(KEY), NOW).leaf
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["desk.example", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.7")]


def test_an_own_key_is_one_that_qvds_clients_take() -> None:
    assert isinstance(KEY, rsa.RSAPrivateKey)
    assert KEY.key_size == 2048


def test_a_long_host_name_still_makes_a_subject() -> None:
    pem = self_signed(KEY, ["a" * 63 + ".example"], [], NOW)
    assert "a" * 63 in x509.load_pem_x509_certificate(pem).subject.rfc4514_string()


def test_a_key_of_another_certificate_is_refused() -> None:
    with pytest.raises(BadConfig, match="does not belong") as caught:
        read_identity(PEM, key_pem(new_key()), NOW)
    assert caught.value.key == "tls.key"


def test_an_expired_certificate_is_refused() -> None:
    with pytest.raises(BadConfig, match="expired on 2035-12-30"):
        read_identity(PEM, key_pem(KEY), NOW + LIFETIME)


def test_a_certificate_of_the_future_is_refused() -> None:
    with pytest.raises(BadConfig, match="check the host's clock"):
        read_identity(PEM, key_pem(KEY), NOW - timedelta(days=2))


def test_a_client_whose_clock_is_behind_can_connect() -> None:
    assert read_identity(PEM, key_pem(KEY), NOW - timedelta(hours=3)).chain


@pytest.mark.parametrize("text", [b"", b"nonsense", PEM])
def test_a_file_without_key_is_refused(text: bytes) -> None:
    with pytest.raises(BadConfig, match="no private key"):
        read_identity(PEM, text, NOW)


def test_a_kind_of_key_that_nobody_knows_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = self_signed(key, ["desk.example"], [], NOW)
    p256, unknown = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f")
    odd_key = re_encoded(key_pem(key), b"PRIVATE KEY", p256, unknown)
    odd_certificate = re_encoded(pem, b"CERTIFICATE", p256, unknown)
    for certificate, secret in ((pem, odd_key), (odd_certificate, key_pem(key))):
        with pytest.raises(BadConfig, match="not supported"):
            read_identity(certificate, secret, NOW)


def re_encoded(pem: bytes, kind: bytes, old: bytes, new: bytes) -> bytes:
    """A PEM file with some of its bytes replaced."""
    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    assert old in der
    text = base64.encodebytes(der.replace(old, new))
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (kind, text, kind)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.integers(0, 500), st.integers(0, 255))
def test_any_damage_is_refused_or_harmless(at: int, byte: int) -> None:
    der = base64.b64decode(b"".join(PEM.splitlines()[1:-1]))
    at %= len(der)
    text = base64.encodebytes(der[:at] + bytes([byte]) + der[at + 1 :])
    damaged = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n" % text
    with contextlib.suppress(BadConfig):
        read_identity(damaged, key_pem(KEY), NOW)


@pytest.mark.parametrize("text", [b"", b"nonsense", key_pem(KEY)])
def test_a_file_without_certificate_is_refused(text: bytes) -> None:
    with pytest.raises(BadConfig, match="no certificate"):
        read_identity(text, key_pem(KEY), NOW)


def test_a_key_behind_a_passphrase_is_refused() -> None:
    locked = KEY.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    with pytest.raises(BadConfig, match="passphrase"):
        read_identity(PEM, locked, NOW)
