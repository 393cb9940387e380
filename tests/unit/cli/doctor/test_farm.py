"""What the doctor says of the other nodes of a farm."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qvdnode.cli.doctor.farm import Datagrams, FarmFacts, NodeFacts, judge
from qvdnode.cli.doctor.finding import Level
from qvdnode.peer.examination import PeerState

NOW = datetime(2026, 11, 30, tzinfo=UTC)
LATER = NOW + timedelta(days=80)
WELL = NodeFacts(
    "desk2", "192.0.2.2", 8445, 8446,
    PeerState(None, "0.1.0", 0.2, LATER), Datagrams(0.001, 0.002),
)  # fmt: skip


def facts(*nodes: NodeFacts, **changes: Any) -> FarmFacts:
    return replace(FarmFacts("0.1.0", LATER, superseded_dsn=False, nodes=nodes), **changes)


def test_a_host_that_is_no_node_hears_nothing() -> None:
    assert judge(facts(certificate_ends=None), NOW) == []


def test_a_healthy_farm_is_told_of_in_a_line_a_node() -> None:
    found = judge(facts(WELL), NOW)
    assert [item.level for item in found] == [Level.OK, Level.OK]
    assert found[1].subject == "node desk2"
    assert "UDP 192.0.2.2 port 8446 and TCP port 8445: 2.0 ms" in found[1].text


def test_a_node_whose_port_for_datagrams_is_not_known_is_told_to_be_reached() -> None:
    (_, found) = judge(facts(replace(WELL, datagrams=None)), NOW)
    assert (found.level, found.text) == (Level.OK, "TCP 192.0.2.2 port 8445: reached")


@pytest.mark.parametrize(
    ("state", "level", "text"),
    [
        (PeerState("it refuses"), Level.ERROR, "port 8445: it refuses"),
        (PeerState(None, "0.1.0", -3601.0, LATER), Level.ERROR, "3601 s behind this host's"),
        (PeerState(None, "0.1.0", 5.0, LATER), Level.WARNING, "5 s ahead of this host's"),
        (PeerState(None, "0.2.0", 0.0, LATER), Level.WARNING, "runs version 0.2.0, and this"),
        (PeerState(None, "", None, LATER), Level.WARNING, "runs an older version"),
        (PeerState(None, "0.1.0", 0.0, NOW + timedelta(days=3)), Level.WARNING, "ends on"),
        (PeerState(None, "0.1.0", 0.0, NOW - timedelta(days=3)), Level.ERROR, "expired on"),
    ],
)
def test_what_is_wrong_with_a_node_is_told_with_what_to_do(
    state: PeerState, level: Level, text: str
) -> None:
    found = judge(facts(replace(WELL, state=state)), NOW)
    (wrong,) = [item for item in found if item.level is not Level.OK]
    assert wrong.level is level
    assert text in wrong.text
    assert wrong.fix


@pytest.mark.parametrize(
    ("datagrams", "text"),
    [
        (Datagrams(None, None), "nothing comes back"),
        (Datagrams(None, None, "Network is unreachable"), "Network is unreachable"),
        (Datagrams(0.001, None), "1,400 bytes do not"),
    ],
)
def test_datagrams_that_do_not_arrive_are_told(datagrams: Datagrams, text: str) -> None:
    found = judge(facts(replace(WELL, datagrams=datagrams)), NOW)
    assert [item.level for item in found] == [Level.OK, Level.WARNING]
    assert text in found[1].text
    assert "MTU" in found[1].fix or "Open UDP" in found[1].fix


def test_the_certificate_of_this_node_and_a_superseded_database_are_told() -> None:
    found = judge(facts(certificate_ends=NOW, superseded_dsn=True), NOW)
    assert [item.level for item in found] == [Level.ERROR, Level.WARNING]
    assert "has left" in found[1].text
