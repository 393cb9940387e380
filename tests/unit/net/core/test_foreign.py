"""Other firewalls, as libnftables lists them."""

from typing import Any

from qvdnode.net.core import foreign
from qvdnode.net.core.foreign import Dropper


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
    chain("ip", "OPEN", hook="forward", policy="accept"),
    chain("ip", "DOCKER"),
]
DOCKER = Dropper("ip", "filter", "FORWARD")


def test_only_chains_that_drop_forwarded_ipv4_are_named() -> None:
    assert foreign.droppers(LISTING) == [DOCKER, Dropper("inet", "filter", "forward")]
    assert str(DOCKER) == "ip filter FORWARD"


def test_chains_that_may_hold_our_rules_are_those_at_the_same_hook() -> None:
    assert [place["name"] for place in foreign.forward_chains(LISTING)] == [
        "FORWARD",
        "forward",
        "OPEN",
    ]


def test_our_rules_are_two_and_bear_our_mark() -> None:
    rules = [command["insert"]["rule"] for command in foreign.opening(DOCKER, "x", "xqvd0")]
    assert [rule["comment"] for rule in rules] == [foreign.comment("x")] * 2
    keys = [rule["expr"][0]["match"]["left"]["meta"]["key"] for rule in rules]
    assert keys == ["iifname", "oifname"]


def test_only_our_own_rules_are_taken_away() -> None:
    place = {"family": "ip", "table": "filter", "chain": "FORWARD"}
    listing = [
        {"rule": {**place, "handle": 1, "expr": []}},
        {"rule": {**place, "handle": 2, "expr": [], "comment": foreign.comment("x")}},
        {"rule": {**place, "handle": 3, "expr": [], "comment": foreign.comment("y")}},
        chain("ip", "FORWARD"),
    ]
    assert foreign.closing(listing, "x") == [{"delete": {"rule": {**place, "handle": 2}}}]
