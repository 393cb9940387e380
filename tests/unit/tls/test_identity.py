import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from qvdnode.model.errors import BadConfig
from qvdnode.runtime.clock import SystemClock
from qvdnode.tls.certificate import LIFETIME, key_pem, new_key, self_signed
from qvdnode.tls.identity import NodeIdentity
from qvdnode.tls.pin import fingerprint_of
from tests.fakes.clock import ManualClock

CLOCK = SystemClock()


class Wire:
    """A client and a server that shake hands in memory."""

    def __init__(self, server: ssl.SSLContext, version: ssl.TLSVersion) -> None:
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
        client.minimum_version = client.maximum_version = version
        self.client = client.wrap_bio(down, up)
        self.server = server.wrap_bio(up, down, server_side=True)
        pending = {self.client, self.server}
        for end in [self.client, self.server] * 4:
            if end in pending:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                pending.discard(end)
        assert not pending

    def fingerprint(self) -> str:
        der = self.client.getpeercert(binary_form=True)
        assert der is not None
        return fingerprint_of(der)

    def echo(self, words: bytes) -> bytes:
        self.client.write(words)
        return self.server.read()


def made(folder: Path) -> NodeIdentity:
    identity = NodeIdentity(folder, CLOCK)
    identity.ensure(["localhost"])
    return identity


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_see_the_certificate_whose_fingerprint_was_printed(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    identity = made(tmp_path)
    assert Wire(identity.context(), version).fingerprint() == identity.fingerprint()


def test_the_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    made(tmp_path / "tls")
    assert (tmp_path / "tls" / "node.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700


def test_the_next_start_keeps_the_certificate(tmp_path: Path) -> None:
    first = made(tmp_path).fingerprint()
    again = NodeIdentity(tmp_path, CLOCK)
    again.ensure(["another.example"])
    assert again.fingerprint() == first


def test_a_certificate_that_runs_out_is_made_anew(tmp_path: Path) -> None:
    clock = ManualClock()
    identity = NodeIdentity(tmp_path, clock)
    identity.ensure(["localhost"])
    first = identity.fingerprint()
    clock.advance((LIFETIME - timedelta(days=30)).total_seconds())
    identity.ensure(["localhost"])
    assert identity.fingerprint() != first


def test_a_key_of_an_earlier_kind_stays_when_its_certificate_is_made_anew(tmp_path: Path) -> None:
    pem = key_pem(ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "node.key").write_bytes(pem)
    assert made(tmp_path).fingerprint()
    assert (tmp_path / "node.key").read_bytes() == pem


def test_a_first_start_cut_short_is_finished(tmp_path: Path) -> None:
    (tmp_path / "node.key").write_bytes(key_pem(new_key()))
    (tmp_path / "node.key.new").write_bytes(b"half")
    assert made(tmp_path).fingerprint()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_reload_serves_new_connections_and_keeps_the_old(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    identity = made(tmp_path)
    before = Wire(identity.context(), version)
    write_rsa(tmp_path)
    identity.reload()
    after = Wire(identity.context(), version)
    assert after.fingerprint() == identity.fingerprint() != before.fingerprint()
    assert before.echo(b"still here") == b"still here"


def test_a_bad_file_keeps_the_old_certificate_in_use(tmp_path: Path) -> None:
    identity = made(tmp_path)
    old = identity.fingerprint()
    (tmp_path / "node.key").write_bytes(key_pem(new_key()))
    with pytest.raises(BadConfig, match="does not belong"):
        identity.reload()
    assert Wire(identity.context(), ssl.TLSVersion.TLSv1_3).fingerprint() == old


def test_supplied_files_are_served(tmp_path: Path) -> None:
    write_rsa(tmp_path)
    identity = NodeIdentity(
        tmp_path / "tls",
        CLOCK,
        certificate=tmp_path / "node.crt",
        key=tmp_path / "node.key",
    )
    identity.ensure(["localhost"])
    assert Wire(identity.context(), ssl.TLSVersion.TLSv1_2).fingerprint() == identity.fingerprint()
    assert not (tmp_path / "tls").exists()


def test_a_certificate_without_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="set together") as caught:
        NodeIdentity(tmp_path, CLOCK, certificate=tmp_path / "a.pem")
    assert caught.value.key == "tls.key"


def test_a_missing_supplied_file_is_named(tmp_path: Path) -> None:
    identity = NodeIdentity(tmp_path, CLOCK, certificate=tmp_path / "a.pem", key=tmp_path / "k.pem")
    with pytest.raises(BadConfig, match=r"a\.pem cannot be read: No such file"):
        identity.ensure(["localhost"])


def test_old_protocol_versions_are_refused(tmp_path: Path) -> None:
    context = made(tmp_path).context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert all("ECDHE" in c["name"] or "TLS_" in c["name"] for c in context.get_ciphers())


def test_a_key_that_tls_takes_for_too_small_is_refused_and_the_old_stays(tmp_path: Path) -> None:
    identity = made(tmp_path)
    old = identity.fingerprint()
    write_rsa(tmp_path, bits=1024)
    with pytest.raises(BadConfig, match=r"ee key too small.*RSA 2048") as caught:
        identity.reload()
    assert caught.value.key == "tls.certificate"
    assert Wire(identity.context(), ssl.TLSVersion.TLSv1_3).fingerprint() == old


def write_rsa(folder: Path, bits: int = 2048) -> None:
    """A pair with another kind of key, as an administrator's authority may have issued."""
    key = rsa.generate_private_key(65537, bits)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "node.key").write_bytes(pem)
    (folder / "node.crt").write_bytes(self_signed(key, ["rsa.example"], [], CLOCK.now()))
