"""Finds other firewalls that drop forwarded packets, and makes accept rules for guests. Pure.

A packet must be let through by every chain of a hook. Docker and ufw set the policy of their
FORWARD chain to drop, firewalld rejects at the end of its own whatever it has not accepted: guests
get no answers then, although our own rules accept them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from qvdnode.net.core import names
from qvdnode.net.core.expressions import ACCEPT, IIFNAME, OIFNAME, Json, delete, equal

IPV4_FAMILIES: Final = frozenset({"ip", "inet"})
REFUSALS: Final = frozenset({"drop", "reject"})
NOTES: Final = frozenset({"counter", "log"})
"""Statements without effect on the verdict."""


@dataclass(frozen=True, slots=True)
class ForwardChain:
    """A foreign chain at the forward hook that filters IPv4 packets."""

    family: str
    table: str
    chain: str
    policy: str = "accept"
    rules: Sequence[Json] = field(default=(), compare=False)
    """As listed, in order."""

    def __str__(self) -> str:
        """The arguments of `nft list chain`."""
        return f"{self.family} {self.table} {self.chain}"

    @property
    def reference(self) -> Json:
        """The JSON object that names the chain in commands."""
        return {"family": self.family, "table": self.table, "name": self.chain}

    @property
    def drops(self) -> bool:
        """Whether it drops packets that none of its rules accepts."""
        return self.policy == "drop" or any(_refuses_all(rule["expr"]) for rule in self.rules)


def forward_chains(listing: Iterable[Json]) -> list[ForwardChain]:
    """The chains at the forward hook in a listing of all chains, still without their rules."""
    chains = [item["chain"] for item in listing if "chain" in item]
    return [
        ForwardChain(chain["family"], chain["table"], chain["name"], chain.get("policy", "accept"))
        for chain in chains
        if chain.get("hook") == "forward" and chain["family"] in IPV4_FAMILIES
    ]


def rules(listing: Iterable[Json]) -> list[Json]:
    """The rules in the listing of one chain."""
    return [item["rule"] for item in listing if "rule" in item]


def comment(prefix: str) -> str:
    """The comment that marks a rule in a foreign chain as ours."""
    return f"{names.table_name(prefix)}: guests"


def opening(chain: ForwardChain, prefix: str, bridge: str) -> list[Json]:
    """Return commands that accept guests' packets; none if they are accepted already.

    Our own chains still judge it.
    """
    if not chain.drops or [rule["expr"] for rule in _ours(chain, prefix)] == _passes(bridge):
        return []
    body = {"family": chain.family, "table": chain.table, "chain": chain.chain}
    marked = {**body, "comment": comment(prefix)}
    # each is inserted before the previous one
    passes = [{"insert": {"rule": {**marked, "expr": expr}}} for expr in reversed(_passes(bridge))]
    return [*closing(chain, prefix), *passes]


def closing(chain: ForwardChain, prefix: str) -> list[Json]:
    """Commands that delete every rule that `opening` has put there."""
    return [
        delete("rule", {key: rule[key] for key in ("family", "table", "chain", "handle")})
        for rule in _ours(chain, prefix)
    ]


def _ours(chain: ForwardChain, prefix: str) -> list[Json]:
    return [rule for rule in chain.rules if rule.get("comment") == comment(prefix)]


def _passes(bridge: str) -> list[list[Json]]:
    return [[equal(link, bridge), ACCEPT] for link in (IIFNAME, OIFNAME)]


def _refuses_all(statements: Sequence[Json]) -> bool:
    kinds = {kind for statement in statements for kind in statement}
    return bool(kinds & REFUSALS) and kinds <= REFUSALS | NOTES
