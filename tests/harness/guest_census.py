"""Counts, 20 times a second, on which nodes each desktop runs: twice at once is a double start."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

EVERY_S = 0.05
MONITOR = "monitor-"


class Groups(Protocol):
    """What host.cgroups.Cgroups does."""

    def children(self, group: str) -> set[str]: ...
    def processes(self, group: str) -> set[int]: ...


@dataclass(slots=True)
class DoubleStart:
    """One desktop that ran on two nodes at the same moment, from the first to the last look."""

    vm_id: int
    nodes: tuple[str, ...]
    began_s: float
    ended_s: float


@dataclass(slots=True)
class Census:
    """Looks at the control groups of all nodes, by their names."""

    groups: Groups
    above: Mapping[str, str]
    """The group of all guests of each node."""
    began_s: float = field(default_factory=time.monotonic)
    looks: int = 0
    longest_pause_s: float = 0.0
    """Between two looks: a double start that is shorter can be missed."""
    runs: dict[int, str] = field(default_factory=dict)
    """The node on which each desktop was seen last."""
    moves: int = 0
    """How often a desktop was seen on another node than before."""
    doubles: list[DoubleStart] = field(default_factory=list)

    def look(self, now_s: float) -> None:
        """Look once. A desktop that moves between two reads is not a double start."""
        self.looks += 1
        found: dict[int, list[str]] = defaultdict(list)
        for node, above in self.above.items():
            for vm_id in self._running(above):
                found[vm_id].append(node)
        for vm_id, nodes in found.items():
            # The first one was read before the last: it must be there after it, too.
            if len(nodes) > 1 and vm_id in self._running(self.above[nodes[0]]):
                self._note(vm_id, tuple(nodes), now_s - self.began_s)
            if self.runs.get(vm_id, nodes[-1]) != nodes[-1]:
                self.moves += 1
            self.runs[vm_id] = nodes[-1]

    def _running(self, above: str) -> set[int]:
        names = {name for name in self.groups.children(above) if not name.startswith(MONITOR)}
        return {
            int(name.rpartition("-")[2])
            for name in names
            if self.groups.processes(f"{above}/{name}")
        }

    def _note(self, vm_id: int, nodes: tuple[str, ...], at_s: float) -> None:
        for known in self.doubles:
            if (known.vm_id, known.nodes) == (vm_id, nodes) and at_s - known.ended_s < 1.0:
                known.ended_s = at_s
                return
        self.doubles.append(DoubleStart(vm_id, nodes, at_s, at_s))

    def run(self, over: threading.Event) -> None:
        """Look until it is over; in a thread, so that nothing else holds it up."""
        last_s = time.monotonic()
        while not over.wait(EVERY_S):
            now_s = time.monotonic()
            self.longest_pause_s = max(self.longest_pause_s, now_s - last_s)
            last_s = now_s
            self.look(now_s)
