"""The inet table as a value. What it does to packets is shown by attacks in tests/integration."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from qvdnode.net.core.expressions import ACCEPT, DROP, MASQUERADE, related_flow
from qvdnode.net.core.packet_rules import (
    GUESTS_MAX,
    PacketDrop,
    Perimeter,
    allow_egress,
    deny_egress,
    packet_table,
)
from qvdnode.net.settings import SMALLEST_PREFIX

PERIMETER = Perimeter(
    prefix="x",
    bridge="xqvd0",
    subnet=IPv4Network("10.0.0.0/24"),
    display_port=4100,
    node_uid=0,
    masquerade=True,
    uplinks=("eth0",),
    resolvers=(IPv4Address("192.0.2.53"),),
    allowed=(),
    denied=(IPv4Network("169.254.0.0/16"),),
    connections_max=4096,
)
GUEST = IPv4Address("10.0.0.2")


def test_guests_stand_in_a_set_and_not_in_rules() -> None:
    assert packet_table(PERIMETER, []).chains == packet_table(PERIMETER, [GUEST]).chains
    assert packet_table(PERIMETER, [GUEST]).sets[0].elements == ["10.0.0.2"]


def test_what_is_dropped_is_counted_and_every_reason_is_used() -> None:
    counted = set()
    for chain in packet_table(PERIMETER, []).chains:
        for rule in chain.rules:
            reasons = [part["counter"] for part in rule if "counter" in part]
            assert bool(reasons) == (rule[-1] == DROP)
            counted.update(reasons)
    assert counted == set(PacketDrop)


def test_hooked_chains_judge_only_what_concerns_the_bridge_or_its_ports() -> None:
    for chain in packet_table(PERIMETER, []).chains:
        if chain.hook is not None and chain.hook.kind == "filter":
            assert {rule[0]["match"]["right"] for rule in chain.rules} <= {"xqvd0", "xqv*"}


def test_addresses_are_translated_only_if_configured() -> None:
    rules = packet_table(PERIMETER, []).chains[-1].rules
    assert rules[0][-1] == MASQUERADE
    assert packet_table(replace(PERIMETER, masquerade=False), []).chains[-1].rules == []


def test_egress_is_given_and_taken_by_element() -> None:
    (allow,) = allow_egress("x", GUEST)
    assert allow["add"]["element"]["elem"] == ["10.0.0.2"]
    assert deny_egress("x", GUEST) == [allow, {"delete": allow["add"]}]


def test_whatever_is_let_out_is_counted_against_the_guests_limit() -> None:
    chains = {chain.name: chain for chain in packet_table(PERIMETER, []).chains}
    assert ACCEPT not in [rule[-1] for rule in chains["from_guest"].rules]
    rate, limit, accept = chains["within_limit"].rules
    assert "limit" in rate[1]["meter"]["stmt"]
    assert limit[1]["meter"]["stmt"] == {"ct count": {"val": 4096, "inv": True}}
    assert accept == [ACCEPT]


def test_errors_are_believed_from_outside_only() -> None:
    chains = {chain.name: chain for chain in packet_table(PERIMETER, []).chains}
    assert related_flow() in chains["to_guest"].rules[1]
    for name in ("to_node", "from_guest", "within_limit"):
        assert all(related_flow() not in rule for rule in chains[name].rules)


def test_every_guest_of_the_largest_subnet_can_be_counted() -> None:
    assert 2 ** (32 - SMALLEST_PREFIX) == GUESTS_MAX
