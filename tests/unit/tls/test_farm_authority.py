"""The farm's authority: what a node's certificate says, and which handshakes it makes."""

import ssl
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from qvdnode.model.ids import FarmId, NodeId
from qvdnode.runtime.clock import SystemClock
from qvdnode.tls.certificate import new_key, self_signed
from qvdnode.tls.farm_authority import (
    NODE_LIFE,
    BadCertificate,
    FarmAuthority,
    authority_pin,
    client_context,
    key_digest,
    new_node_key,
    public_key,
    read_node,
    server_context,
)

NOW = SystemClock().now().replace(microsecond=0)
FARM = FarmId("0c9a1e0e-5a3b-4c5e-9f0a-2b7d1c3e4f50")


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes | None:
    """A handshake in memory; the client's certificate as the server has it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[1].getpeercert(binary_form=True)


def node_files(folder: Path, authority: FarmAuthority, *, now: datetime = NOW) -> tuple[Path, Path]:
    """The certificate and key of node 7."""
    key = new_node_key()
    certificate = authority.sign(public_key(key), FARM, NodeId(7), now)
    folder.mkdir()
    (folder / "crt").write_bytes(certificate)
    (folder / "key").write_bytes(key)
    return folder / "crt", folder / "key"


def test_a_certificate_names_farm_and_node() -> None:
    authority, key = FarmAuthority.new(FARM, NOW), new_node_key()
    certificate = authority.sign(public_key(key), FARM, NodeId(7), NOW)
    identity = read_node(certificate)
    assert (identity.farm_id, identity.node_id) == (FARM, 7)
    assert identity.key_digest == key_digest(public_key(key))
    assert identity.expires_at == NOW + NODE_LIFE


def test_a_renewed_certificate_is_the_same_nodes() -> None:
    """Other nodes know the key, and the key stays."""
    authority, spki = FarmAuthority.new(FARM, NOW), public_key(new_node_key())
    first, second = (authority.sign(spki, FARM, NodeId(7), NOW) for _ in range(2))
    assert first != second
    assert read_node(first).key_digest == read_node(second).key_digest


def test_nodes_of_one_farm_trust_each_other(tmp_path: Path) -> None:
    authority = FarmAuthority.new(FARM, NOW)
    pem = authority.certificate_pem
    server = server_context(pem, *node_files(tmp_path / "a", authority))
    shown = shake_hands(server, client_context(pem, *node_files(tmp_path / "b", authority)))
    assert shown is not None
    assert read_node(shown).node_id == 7


def test_who_shows_no_certificate_is_known_as_such(tmp_path: Path) -> None:
    authority = FarmAuthority.new(FARM, NOW)
    server = server_context(authority.certificate_pem, *node_files(tmp_path / "a", authority))
    assert shake_hands(server, client_context(None)) is None


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=100)], ids=["alien", "expired"])
def test_a_certificate_of_another_farm_or_an_old_one_is_refused(
    tmp_path: Path, age: timedelta
) -> None:
    ours = FarmAuthority.new(FARM, NOW)
    theirs = ours if age else FarmAuthority.new(FARM, NOW)
    good = node_files(tmp_path / "good", ours)
    bad = node_files(tmp_path / "bad", theirs, now=NOW - age)
    pem = ours.certificate_pem
    with pytest.raises(ssl.SSLError):
        shake_hands(server_context(pem, *good), client_context(pem, *bad))
    with pytest.raises(ssl.SSLError):
        shake_hands(server_context(pem, *bad), client_context(pem, *good))


def test_a_node_cannot_sign_for_others(tmp_path: Path) -> None:
    """Its certificate is none of an authority."""
    authority = FarmAuthority.new(FARM, NOW)
    certificate, key = node_files(tmp_path / "a", authority)
    forged = FarmAuthority(certificate.read_bytes(), key.read_bytes())
    pem = authority.certificate_pem
    with pytest.raises(ssl.SSLError):
        shake_hands(
            server_context(pem, *node_files(tmp_path / "b", authority)),
            client_context(pem, *node_files(tmp_path / "c", forged)),
        )


def test_the_pin_is_the_authoritys_own() -> None:
    one, two = FarmAuthority.new(FARM, NOW), FarmAuthority.new(FARM, NOW)
    assert authority_pin(one.certificate_pem) == authority_pin(one.certificate_pem)
    assert authority_pin(one.certificate_pem) != authority_pin(two.certificate_pem)
    assert len(authority_pin(one.certificate_pem)) == 43


def test_a_certificate_of_clients_names_no_node() -> None:
    pem = self_signed(new_key(), ("desk1",), (), NOW)
    with pytest.raises(BadCertificate):
        read_node(pem)


@pytest.mark.parametrize(
    "uris",
    [(), ("qvdnode://x/node/1",), (f"qvdnode://{FARM}/node/0",), (f"qvdnode://{FARM}/node/1",) * 2],
    ids=str,
)
def test_odd_names_name_no_node(uris: tuple[str, ...]) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    with pytest.raises(BadCertificate):
        read_node(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


@pytest.mark.parametrize("content", [b"", b"-----BEGIN", b"\x30\x00"])
def test_what_is_no_certificate_or_key_is_refused(content: bytes) -> None:
    for read in (read_node, authority_pin, public_key, FarmAuthority.check_key):
        with pytest.raises(BadCertificate):
            read(content)


def test_only_p256_keys_are_signed() -> None:
    for key in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65_537, 2048)):
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(BadCertificate):
            FarmAuthority.check_key(spki)
