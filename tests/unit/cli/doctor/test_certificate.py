"""The certificate, judged."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from qvdnode.cli.doctor.certificate import CertificateFacts, covers, judge
from qvdnode.cli.doctor.finding import Finding, Level
from qvdnode.tls.inspection import FileFacts, PairFacts
from tests.fakes.clock import START as NOW

PAIR = PairFacts(
    names=("desk.example.org", "desk"),
    addresses=(ip_address("192.0.2.7"),),
    issuer="CN=Root",
    self_signed=True,
    valid_from=NOW - timedelta(days=1),
    valid_until=NOW + timedelta(days=100),
    length=1,
    gap=None,
    keys=(("CN=desk", 2048),),
)
FILES = FileFacts(pair=PAIR, key_mode=0o600, vouched=False)
OWN = CertificateFacts(own=True, found=FILES, names=["desk"], addresses=[ip_address("192.0.2.7")])
ISSUED = replace(PAIR, self_signed=False)
YOURS = replace(OWN, own=False, found=replace(FILES, pair=ISSUED))


def about(facts: CertificateFacts) -> dict[str, Finding]:
    found = {one.subject: one for one in judge(facts, NOW)}
    assert all(one.fix for one in found.values() if one.level is not Level.OK)
    return found


def with_pair(facts: CertificateFacts, **changes: Any) -> CertificateFacts:
    assert facts.found is not None
    pair = replace(facts.found.pair, **changes)
    return replace(facts, found=replace(facts.found, pair=pair))


def test_a_fresh_one_of_the_nodes_own_is_fine() -> None:
    assert {one.level for one in about(OWN).values()} == {Level.OK}


def test_none_yet_is_fine_and_what_cannot_serve_is_not() -> None:
    assert about(replace(OWN, found=None))["certificate"].level is Level.OK
    refused = about(replace(OWN, found=None, refusal="the key does not belong"))["certificate"]
    assert (refused.level, refused.text) == (Level.ERROR, "the key does not belong")
    closed = about(replace(OWN, found=None, closed=True))["certificate"]
    assert (closed.level, closed.fix) == (Level.WARNING, "Run the doctor as root.")


@pytest.mark.parametrize(
    ("left", "level"),
    [
        (timedelta(days=15), Level.OK),
        (timedelta(days=13), Level.WARNING),
        (timedelta(0), Level.ERROR),
        (timedelta(days=-40), Level.ERROR),
    ],
)
def test_the_end_is_told_two_weeks_before(left: timedelta, level: Level) -> None:
    assert about(with_pair(YOURS, valid_until=NOW + left))["certificate"].level is level


def test_one_of_the_future_is_told() -> None:
    early = about(with_pair(YOURS, valid_from=NOW + timedelta(days=1)))["certificate"]
    assert (early.level, "clock" in early.fix) == (Level.ERROR, True)


def test_names_of_the_host_are_looked_for() -> None:
    moved = [ip_address("192.0.2.9")]
    lacking = about(replace(OWN, addresses=moved))["certificate names"]
    assert (lacking.level, "192.0.2.9" in lacking.text) == (Level.WARNING, True)
    bridge = [*OWN.addresses, ip_address("172.17.0.1")]
    assert about(replace(OWN, addresses=bridge))["certificate names"].level is Level.OK
    renamed = about(replace(OWN, names=["desk", "shop"]))["certificate names"]
    assert (renamed.level, "lacks shop:" in renamed.text) == (Level.WARNING, True)
    # an authority's certificate has the names that people use, not all that a host has
    assert about(replace(YOURS, addresses=moved))["certificate names"].level is Level.OK
    elsewhere = replace(YOURS, names=["other"], addresses=moved)
    assert about(elsewhere)["certificate names"].level is Level.WARNING
    nameless = with_pair(YOURS, names=(), addresses=())
    assert about(nameless)["certificate names"].level is Level.ERROR


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("desk.example.org", "DESK.example.org", True),
        ("desk.example.org", "desk", True),
        ("desk.example.org", "des", False),
        ("*.example.org", "desk.example.org", True),
        ("*.example.org", "a.desk.example.org", False),
        ("*.example.org", "example.org", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.70", False),
    ],
)
def test_a_name_covers_what_a_client_would_take_it_for(
    pattern: str, name: str, covered: bool
) -> None:
    assert covers(pattern, name) == covered


def test_the_chain_is_followed() -> None:
    alone = about(YOURS)["certificate chain"]
    assert (alone.level, "CN=Root" in alone.text) == (Level.WARNING, True)
    assert about(with_pair(YOURS, length=2))["certificate chain"].level is Level.OK
    broken = about(with_pair(YOURS, length=2, gap="CN=desk"))["certificate chain"]
    assert (broken.level, "CN=desk" in broken.text) == (Level.ERROR, True)
    known = replace(YOURS, found=replace(FILES, pair=ISSUED, vouched=True))
    assert about(known)["certificate chain"].level is Level.OK


@pytest.mark.parametrize(("mode", "level"), [(0o400, Level.OK), (0o640, Level.WARNING)])
def test_a_key_that_others_may_read_is_told(mode: int, level: Level) -> None:
    facts = replace(OWN, found=replace(FILES, key_mode=mode))
    assert about(facts)["certificate key"].level is level


@pytest.mark.parametrize("facts", [OWN, YOURS])
def test_keys_that_qvds_clients_refuse_are_told(facts: CertificateFacts) -> None:
    keys = (("CN=desk", 2048), ("CN=Below", 256))
    found = about(with_pair(facts, keys=keys))["certificate kind"]
    assert (found.level, "CN=Below (256 bits)" in found.text) == (Level.WARNING, True)
    assert "CN=desk" not in found.text


def test_names_from_outside_do_not_steer_the_terminal() -> None:
    hostile = "CN=\x1b]52;c;ZXZpbA==\x07"
    facts = with_pair(YOURS, issuer=hostile, names=(hostile,), keys=((hostile, 256),), gap=hostile)
    for facts_ in (facts, with_pair(facts, gap=None), replace(facts, refusal=hostile)):
        assert all("\x1b" not in one.text for one in judge(facts_, NOW))
