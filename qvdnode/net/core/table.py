"""One nftables table, put together from chains, sets and counters into a single transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from qvdnode.net.core.expressions import Json, add, delete


@dataclass(frozen=True, slots=True)
class Hook:
    """Where the kernel calls a chain. Our chains always let pass what no rule of theirs drops."""

    name: str
    priority: int
    kind: str = "filter"


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order; a chain without a hook is reached by jump or goto."""

    name: str
    rules: Sequence[Sequence[Json]]
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set that rules look things up in: `type` is one type or several for a concatenation."""

    name: str
    type: str | Sequence[str]
    elements: Sequence[object] = ()
    intervals: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of one family, complete."""

    family: str
    name: str
    sets: Sequence[NamedSet] = ()
    counters: Sequence[str] = ()
    chains: Sequence[Chain] = field(default=())

    def replace(self) -> list[Json]:
        """Commands that put this table in the place of one of the same name, if there is one."""
        own = {"family": self.family, "table": self.name}
        return [
            *self.remove(),
            add("table", {"family": self.family, "name": self.name}),
            *(add("counter", {**own, "name": name}) for name in self.counters),
            *(add("set", {**own, **_set_body(item)}) for item in self.sets),
            *(add("chain", {**own, **_chain_body(chain)}) for chain in self.chains),
            *self._elements(),
            *self._rules(),
        ]

    def remove(self) -> list[Json]:
        """Commands that remove the table; right also if there is none."""
        body = {"family": self.family, "name": self.name}
        return [add("table", body), delete("table", body)]

    def _elements(self) -> Iterable[Json]:
        for item in self.sets:
            if item.elements:
                yield elements("add", self.family, self.name, item.name, item.elements)

    def _rules(self) -> Iterable[Json]:
        for chain in self.chains:
            for rule in chain.rules:
                yield add(
                    "rule",
                    {
                        "family": self.family,
                        "table": self.name,
                        "chain": chain.name,
                        "expr": list(rule),
                    },
                )


def elements(verb: str, family: str, table: str, name: str, values: Sequence[object]) -> Json:
    """Command: add or delete elements of a set."""
    body = {"family": family, "table": table, "name": name, "elem": list(values)}
    return {verb: {"element": body}}


def _set_body(item: NamedSet) -> Json:
    kind = item.type if isinstance(item.type, str) else list(item.type)
    flags = {"flags": ["interval"], "auto-merge": True} if item.intervals else {}
    return {"name": item.name, "type": kind, **flags}


def _chain_body(chain: Chain) -> Json:
    if chain.hook is None:
        return {"name": chain.name}
    return {
        "name": chain.name,
        "type": chain.hook.kind,
        "hook": chain.hook.name,
        "prio": chain.hook.priority,
        "policy": "accept",
    }
