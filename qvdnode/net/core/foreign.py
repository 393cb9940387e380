"""Other firewalls of the host that drop what it forwards, read from a listing of all chains.

A packet must be let through by every chain of a hook. Docker and ufw set the policy of their
FORWARD chain to drop, so that guests get no answers although our own rules let them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from qvdnode.net.core import names
from qvdnode.net.core.expressions import ACCEPT, IIFNAME, OIFNAME, Json, delete, equal

IPV4_FAMILIES: Final = frozenset({"ip", "inet"})


@dataclass(frozen=True, slots=True)
class Dropper:
    """A chain of somebody else at the forward hook whose policy is to drop."""

    family: str
    table: str
    chain: str

    def __str__(self) -> str:
        """As a person would write it after `nft list chain`."""
        return f"{self.family} {self.table} {self.chain}"


def droppers(listing: Iterable[Json]) -> list[Dropper]:
    """The chains of a listing that drop forwarded IPv4 packets unless a rule lets them pass."""
    chains = [item["chain"] for item in listing if "chain" in item]
    return [
        Dropper(chain["family"], chain["table"], chain["name"])
        for chain in chains
        if chain.get("hook") == "forward"
        and chain.get("policy") == "drop"
        and chain["family"] in IPV4_FAMILIES
    ]


def forward_chains(listing: Iterable[Json]) -> list[Json]:
    """Every chain at the forward hook, in the form in which its rules are asked for."""
    return [
        {"family": chain["family"], "table": chain["table"], "name": chain["name"]}
        for chain in (item["chain"] for item in listing if "chain" in item)
        if chain.get("hook") == "forward" and chain["family"] in IPV4_FAMILIES
    ]


def comment(prefix: str) -> str:
    """What marks a rule in somebody else's chain as ours."""
    return f"{names.table_name(prefix)}: guests"


def opening(dropper: Dropper, prefix: str, bridge: str) -> list[Json]:
    """Commands that let pass what goes to and from the guests; our own chains still judge it."""
    place = {"family": dropper.family, "table": dropper.table, "chain": dropper.chain}
    marked = {**place, "comment": comment(prefix)}
    return [
        {"insert": {"rule": {**marked, "expr": [equal(link, bridge), ACCEPT]}}}
        for link in (IIFNAME, OIFNAME)
    ]


def closing(listing: Iterable[Json], prefix: str) -> list[Json]:
    """Commands that delete every rule that `opening` has put anywhere."""
    rules = [item["rule"] for item in listing if "rule" in item]
    return [
        delete("rule", {key: rule[key] for key in ("family", "table", "chain", "handle")})
        for rule in rules
        if rule.get("comment") == comment(prefix)
    ]
