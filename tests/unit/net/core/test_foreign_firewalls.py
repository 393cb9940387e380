"""Other firewalls, as libnftables lists them."""

from dataclasses import replace
from typing import Any

import pytest

from qvdnode.net.core import foreign_firewalls
from qvdnode.net.core.expressions import ACCEPT, DROP, IIFNAME, Json, equal
from qvdnode.net.core.foreign_firewalls import ForwardChain


def chain(family: str, name: str, **hook: object) -> dict[str, Any]:
    """A line of a listing."""
    return {"chain": {"family": family, "table": "filter", "name": name, **hook}}


LISTING = [
    {"metainfo": {}},
    chain("ip", "FORWARD", hook="forward", policy="drop"),
    chain("inet", "forward", hook="forward", policy="drop"),
    chain("ip6", "FORWARD", hook="forward", policy="drop"),
    chain("bridge", "FORWARD", hook="forward", policy="drop"),
    chain("ip", "INPUT", hook="input", policy="drop"),
    chain("ip", "OPEN", hook="forward"),
    chain("ip", "DOCKER"),
]
DOCKER = ForwardChain("ip", "filter", "FORWARD", "drop")
FIREWALLD = ForwardChain("inet", "firewalld", "filter_FORWARD")
REJECT: Json = {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}
COUNTER: Json = {"counter": {"packets": 1, "bytes": 60}}


def rule(*expr: Json, **more: object) -> dict[str, Any]:
    """A rule of a listing."""
    place = {"family": "ip", "table": "filter", "chain": "FORWARD"}
    return {"rule": {**place, "handle": 1, "expr": list(expr), **more}}


def after(given: ForwardChain, commands: list[Json]) -> ForwardChain:
    """The chain once these rules have been inserted, and no other deleted."""
    rules = list(given.rules)
    for handle, command in enumerate(commands):
        rules.insert(0, {**command["insert"]["rule"], "handle": handle})
    return replace(given, rules=rules)


def test_only_chains_that_judge_forwarded_ipv4_are_named() -> None:
    assert foreign_firewalls.forward_chains(LISTING) == [
        DOCKER,
        ForwardChain("inet", "filter", "forward", "drop"),
        ForwardChain("ip", "filter", "OPEN", "accept"),
    ]
    assert str(DOCKER) == "ip filter FORWARD"
    assert DOCKER.reference == {"family": "ip", "table": "filter", "name": "FORWARD"}


@pytest.mark.parametrize(
    ("expr", "drops"),
    [
        ([REJECT], True),
        ([COUNTER, {"log": {"prefix": "no"}}, DROP], True),
        ([equal(IIFNAME, "eth0"), DROP], False),
        ([{"limit": {"rate": 9, "per": "second"}}, DROP], False),
        ([COUNTER], False),
        ([ACCEPT], False),
    ],
)
def test_a_chain_drops_if_a_rule_refuses_whatever_comes_to_it(
    expr: list[Json], drops: bool
) -> None:
    rules = foreign_firewalls.rules([chain("ip", "FORWARD"), rule(ACCEPT), rule(*expr)])
    assert replace(FIREWALLD, rules=rules).drops == drops


def test_a_chain_drops_by_policy() -> None:
    assert DOCKER.drops
    assert not FIREWALLD.drops


def test_our_rules_are_two_and_bear_our_mark() -> None:
    rules = [
        command["insert"]["rule"] for command in foreign_firewalls.opening(DOCKER, "x", "xqvd0")
    ]
    assert [rule["comment"] for rule in rules] == [foreign_firewalls.comment("x")] * 2
    keys = {rule["expr"][0]["match"]["left"]["meta"]["key"] for rule in rules}
    assert keys == {"iifname", "oifname"}


def test_a_chain_is_opened_once_and_anew_for_another_bridge() -> None:
    opened = after(DOCKER, foreign_firewalls.opening(DOCKER, "x", "xqvd0"))
    assert foreign_firewalls.opening(opened, "x", "xqvd0") == []
    verbs = [next(iter(command)) for command in foreign_firewalls.opening(opened, "x", "other0")]
    assert verbs == ["delete", "delete", "insert", "insert"]
    verbs = [next(iter(command)) for command in foreign_firewalls.opening(opened, "y", "xqvd0")]
    assert verbs == ["insert", "insert"]


def test_a_chain_that_drops_nothing_is_left_alone() -> None:
    assert foreign_firewalls.opening(FIREWALLD, "x", "xqvd0") == []


def test_only_our_own_rules_are_taken_away() -> None:
    rules = foreign_firewalls.rules(
        [
            rule(ACCEPT),
            rule(ACCEPT, handle=2, comment=foreign_firewalls.comment("x")),
            rule(ACCEPT, handle=3, comment=foreign_firewalls.comment("y")),
        ]
    )
    place = {"family": "ip", "table": "filter", "chain": "FORWARD"}
    closing = foreign_firewalls.closing(replace(DOCKER, rules=rules), "x")
    assert closing == [{"delete": {"rule": {**place, "handle": 2}}}]
