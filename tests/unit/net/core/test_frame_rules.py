"""The bridge table as a value. What it does to frames is shown by attacks in tests/integration."""

from ipaddress import IPv4Address

from qvdnode.net.core.expressions import DROP
from qvdnode.net.core.frame_rules import AllowedSource, FrameDrop, admit, expel, frame_table

ONE = AllowedSource("xqv1", "02:00:00:00:00:01", IPv4Address("10.0.0.2"))
TWO = AllowedSource("xqv2", "02:00:00:00:00:02", IPv4Address("10.0.0.3"))


def test_guests_stand_in_sets_and_not_in_rules() -> None:
    assert frame_table("x", []).chains == frame_table("x", [ONE, TWO]).chains


def test_each_guest_has_one_element_in_each_set() -> None:
    for named in frame_table("x", [ONE, TWO]).sets:
        assert len(named.elements) == 2


def test_what_is_dropped_is_counted_and_every_reason_is_used() -> None:
    counted = set()
    for chain in frame_table("x", []).chains:
        for rule in chain.rules:
            reasons = [part["counter"] for part in rule if "counter" in part]
            assert bool(reasons) == (rule[-1] == DROP)
            counted.update(reasons)
    assert counted == set(FrameDrop)


def test_hooked_chains_judge_only_links_of_the_instance() -> None:
    for chain in frame_table("x", []).chains:
        if chain.hook is not None:
            assert all(rule[0]["match"]["right"] == "xqv*" for rule in chain.rules)


def test_admission_and_its_end_concern_the_same_elements() -> None:
    added = [command["add"]["element"] for command in admit("x", ONE)]
    assert added[1]["elem"] == [{"concat": [ONE.link, ONE.mac, "10.0.0.2"]}]
    assert {element["table"] for element in added} == {"qvdnode_x"}
    ended = expel("x", ONE)
    assert [command["delete"]["element"] for command in ended[3:]] == added
    assert ended[:3] == admit("x", ONE)
