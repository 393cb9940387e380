"""What is told of a certificate, of its chain and of its key."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from qvdnode.model.errors import BadConfig
from qvdnode.runtime.clock import SystemClock
from qvdnode.tls.certificate import Identity
from qvdnode.tls.identity import NodeIdentity
from qvdnode.tls.inspection import FileFacts, facts_of, inspect_files
from tests.harness.authority import Authority, Pair

ROOT = Authority("Root")
BELOW = Authority("Below", ROOT)


def files(folder: Path, pair: Pair) -> FileFacts:
    return inspect_files(*pair.write(folder))


def test_an_own_certificate_is_told(tmp_path: Path) -> None:
    NodeIdentity(tmp_path, SystemClock()).ensure(["desk.example"])
    found = inspect_files(tmp_path / "node.crt", tmp_path / "node.key")
    assert (found.pair.names, found.pair.addresses) == (("desk.example",), ())
    assert found.pair.self_signed
    assert found.pair.keys == (("CN=desk.example", 2048),)
    assert found.key_mode == 0o600
    assert not found.vouched


def test_a_chain_is_followed_to_an_authority_of_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = BELOW.issue(("desk.example", "192.0.2.7"))
    found = files(tmp_path, pair)
    assert [str(one) for one in found.pair.addresses] == ["192.0.2.7"]
    assert (found.pair.issuer, found.pair.length) == ("CN=Below", 2)
    assert (found.pair.self_signed, found.pair.gap, found.vouched) == (False, None, False)
    monkeypatch.setenv("SSL_CERT_FILE", str(ROOT.write(tmp_path)))
    assert files(tmp_path, pair).vouched


def test_a_chain_out_of_order_is_told() -> None:
    pair = BELOW.issue(("desk.example",))
    other = Authority("Other").pair.certificate
    below, root = pair.above
    assert gap(pair.certificate, below, root) is None
    assert gap(pair.certificate, root, below) == "CN=desk.example"
    assert gap(pair.certificate, below, other) == "CN=Below"


def gap(*chain: x509.Certificate) -> str | None:
    return facts_of(Identity(chain)).gap


def test_the_chain_ends_when_its_first_certificate_does() -> None:
    pair = Authority("Root").issue(("desk.example",), left=timedelta(days=9_000))
    facts = facts_of(Identity((pair.certificate, *pair.above)))
    assert facts.valid_until == pair.above[0].not_valid_after_utc
    assert facts.valid_from == pair.certificate.not_valid_before_utc


def test_bits_are_counted_in_the_whole_chain() -> None:
    strong = BELOW.issue(("desk.example",), key=rsa.generate_private_key(65_537, 2048))
    facts = facts_of(Identity((strong.certificate, *strong.above)))
    assert facts.keys == (("CN=desk.example", 2048), ("CN=Below", 256), ("CN=Root", 256))


def test_a_pair_that_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    pair = Pair.self_signed(("desk.example",))
    with pytest.raises(BadConfig, match="does not belong"):
        files(tmp_path, Pair(pair.certificate, ec.generate_private_key(ec.SECP256R1())))


def test_a_certificate_without_names_has_none() -> None:
    pair = Authority("CA itself").pair
    assert facts_of(Identity((pair.certificate,))).names == ()
