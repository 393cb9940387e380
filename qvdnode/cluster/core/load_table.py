"""What this node knows of the load of all nodes, and what it passes on next. Pure.

Every tick one datagram goes to one random member, with the records that were passed on least often
since they changed: news travels first, and a farm in which nothing changes sends almost nothing.
The bytes per node are bounded by the interval and the datagram's size, however large the farm is.
The age of a record travels with it, so that no clock is compared with another.
"""

import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from qvdnode.wire.load_record import AGE_TENTHS_MAX, LoadRecord

if TYPE_CHECKING:
    import random

INTERVAL_S: Final = 0.2
"""Between two datagrams, as the membership's rounds of gossip."""
PASS_ON_MULTIPLIER: Final = 3
"""How often each node passes a record on: this many times the base-2 logarithm of the members."""
CHANGE_SHARE: Final = 0.05
"""A figure that changed by this much of its whole is sent at once."""
REPEAT_S: Final = 10.0
"""An unchanged record is sent again after this time, so that its age says who is silent."""
SILENT_S: Final = 2.0
"""A main loop that has told nothing for this long is late: it tells its load every second."""
HUNDREDTHS_MAX: Final = 0xFF


@dataclass(slots=True)
class _Entry:
    record: LoadRecord
    received_s: float
    passed_on: int = 0


@dataclass(frozen=True, slots=True)
class KnownLoad:
    """The newest record of a node."""

    record: LoadRecord
    received_s: float
    """When it came, by the clock of the caller."""

    def age_s(self, now_s: float) -> float:
        """How old the figures are."""
        return self.record.age_tenths / 10 + max(now_s - self.received_s, 0.0)


class LoadTable:
    """The records of a farm as one node knows them; `now_s` is any clock that never goes back."""

    def __init__(self, epoch: int, rng: "random.Random") -> None:
        self._epoch = epoch
        self._rng = rng
        self._entries: dict[int, _Entry] = {}
        self._forgotten: dict[int, tuple[int, int]] = {}
        """The last version of nodes that are gone, which others may still pass on."""
        self._known: Mapping[int, KnownLoad] = {}
        self._own: LoadRecord | None = None
        self._published_s = 0.0
        self._counter = 0

    @property
    def known(self) -> Mapping[int, KnownLoad]:
        """The newest record by node id, this node's own included; replaced, never changed."""
        return self._known

    def publish(self, record: LoadRecord, now_s: float) -> None:
        """Take this node's own figures; its epoch, counter and age are set here."""
        self._published_s = now_s
        self._own = record
        entry = self._entries.get(record.node)
        if (
            entry is None
            or now_s - entry.received_s >= REPEAT_S
            or worth_telling(entry.record, record)
        ):
            self._tell(record, now_s)

    def tick(self, now_s: float) -> None:
        """Notice that the main loop is late, which the figures of a loop that hangs cannot say."""
        silent_s = now_s - self._published_s
        if self._own is None or silent_s < SILENT_S:
            return
        hundredths = min(int(silent_s * 100), HUNDREDTHS_MAX)
        if self._entries[self._own.node].record.loop_lag_hundredths < hundredths:
            self._tell(replace(self._own, loop_lag_hundredths=hundredths), now_s)

    def raise_epoch(self, epoch: int) -> None:
        """Use a higher epoch: the others remember records of a later start than this one."""
        self._epoch = max(self._epoch, epoch)

    def receive(self, records: Iterable[LoadRecord], now_s: float) -> None:
        """Keep what is newer than what is known; what a node says of this one is ignored."""
        changed = False
        for record in records:
            if self._is_news(record):
                self._entries[record.node] = _Entry(record, now_s)
                changed = True
        if changed:
            self._publish_known()

    def keep(self, nodes: Iterable[int]) -> None:
        """Forget the nodes that are not among these; this node's own record stays."""
        wanted = {*nodes, *([self._own.node] if self._own is not None else [])}
        gone = self._entries.keys() - wanted
        for node in gone:
            self._forgotten[node] = self._entries.pop(node).record.version
        if gone:
            self._publish_known()

    def datagram(self, room: int, members: int, now_s: float) -> tuple[LoadRecord, ...]:
        """The records to pass on now, at most `room`, in a farm of so many members."""
        limit = PASS_ON_MULTIPLIER * math.ceil(math.log2(members + 1))
        waiting = [entry for entry in self._entries.values() if entry.passed_on < limit]
        chosen = heapq.nsmallest(room, waiting, key=lambda e: (e.passed_on, self._rng.random()))
        for entry in chosen:
            entry.passed_on += 1
        return tuple(_aged(entry, now_s) for entry in chosen)

    def _is_news(self, record: LoadRecord) -> bool:
        if self._own is not None and record.node == self._own.node:
            return False
        entry = self._entries.get(record.node)
        known = self._forgotten.get(record.node) if entry is None else entry.record.version
        return known is None or known < record.version

    def _tell(self, record: LoadRecord, now_s: float) -> None:
        self._counter += 1
        told = replace(record, epoch=self._epoch, counter=self._counter, age_tenths=0)
        self._entries[record.node] = _Entry(told, now_s)
        self._publish_known()

    def _publish_known(self) -> None:
        self._known = {n: KnownLoad(e.record, e.received_s) for n, e in self._entries.items()}


def worth_telling(told: LoadRecord, now: LoadRecord) -> bool:
    """Whether the figures differ enough from what was told to be told before their time."""
    parts = (
        (told.promised_mib, now.promised_mib, max(now.capacity_mib, 1)),
        (told.starts_waiting, now.starts_waiting, max(now.starts_waiting_max, 1)),
        (told.start_tokens_free, now.start_tokens_free, max(now.start_tokens, 1)),
        (told.run_queue_tenths, now.run_queue_tenths, max(now.cores, 1) * 10),
        (told.cpu_some_pct, now.cpu_some_pct, 100),
        (told.memory_full_pct, now.memory_full_pct, 100),
        (told.io_some_pct, now.io_some_pct, 100),
        (told.loop_lag_hundredths, now.loop_lag_hundredths, 100),
    )
    same = (told.capacity_mib, told.guests_max, told.start_tokens, told.flags, told.images) == (
        now.capacity_mib, now.guests_max, now.start_tokens, now.flags, now.images
    )  # fmt: skip
    return not same or any(abs(a - b) > CHANGE_SHARE * whole for a, b, whole in parts)


def _aged(entry: _Entry, now_s: float) -> LoadRecord:
    age = entry.record.age_tenths + max(round((now_s - entry.received_s) * 10), 0)
    return replace(entry.record, age_tenths=min(age, AGE_TENTHS_MAX))
