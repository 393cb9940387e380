"""The starts that this node gave to nodes whose load does not show them yet. Pure.

Load is seconds old. A node that sends many starts in that time counts its own decisions, or it
sends all of them to the node that was free a moment ago.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from qvdnode.cluster.core.placement import Load
from qvdnode.model.ids import NodeId

COUNTED_S: Final = 60.0
"""As long as an unchanged record of load may be old."""


@dataclass(frozen=True, slots=True)
class _Start:
    node_id: NodeId
    memory_mib: int
    at_s: float


class RecentStarts:
    """The starts that this node gave to others, the oldest first."""

    def __init__(self) -> None:
        self._starts: deque[_Start] = deque()

    def add(self, node_id: NodeId, memory_mib: int, now_s: float) -> None:
        """A start of that size goes to that node."""
        self._starts.append(_Start(node_id, memory_mib, now_s))

    def counted(self, load: Load, now_s: float) -> Load:
        """The load with the starts added that are newer than its figures."""
        while self._starts and self._starts[0].at_s < now_s - COUNTED_S:
            self._starts.popleft()
        read_s = now_s - load.age_s
        newer = [s for s in self._starts if s.node_id == load.node_id and s.at_s > read_s]
        return _with(load, newer)


def _with(load: Load, starts: Sequence[_Start]) -> Load:
    if not starts:
        return load
    free = load.start_tokens_free - len(starts)
    return replace(
        load,
        promised_mib=load.promised_mib + sum(start.memory_mib for start in starts),
        guests=load.guests + len(starts),
        start_tokens_free=max(free, 0),
        starts_waiting=load.starts_waiting + max(-free, 0),
    )
