"""Watches the disk while desktops run, and stops desktops that fill it.

core/disk_watch.py decides which and when; this module measures and carries it out.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Collection
from typing import Final, Protocol

from qvdnode.image.core import disk_watch
from qvdnode.image.core.disk_watch import Space, StopOrder, Writer
from qvdnode.image.disk_sizes import GuestFiles, StoreSizes
from qvdnode.image.ports import Desktops, WriteBarrier
from qvdnode.image.settings import ImageSettings
from qvdnode.model.errors import HostFailed
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import Counter, Gauge

log = logging.getLogger(__name__)

ENDED: Final = Counter(
    "qvdnode_disk_desktops_ended", "Desktops ended because they were filling the disk", ["how"]
)
WRITING: Final = frozenset({VmState.BOOTING, VmState.RUNNING, VmState.STOPPING})
"""States in which a desktop can write to the disk."""
NEAR: Final = Gauge(
    "qvdnode_disk_nearly_full", "1 while less than image.free_alarm_mib is free for desktops"
)


class Sizes(Protocol):
    """Measures the file systems."""

    def measure(self, guests: Collection[GuestFiles]) -> list[StoreSizes]:
        """Measure each file system; raises HostFailed. Blocks."""
        ...


class DiskWatch:
    """The watch of one node; run `run` as a task."""

    def __init__(
        self,
        settings: ImageSettings,
        sizes: Sizes,
        clock: Clock,
        desktops: Desktops,
        barrier: WriteBarrier,
    ) -> None:
        self._settings = settings
        self._sizes = sizes
        self._clock = clock
        self._desktops = desktops
        self._barrier = barrier
        self._last: dict[str, StoreSizes] = {}
        self._calm: dict[str, StoreSizes] = {}
        """Each file system at its last measurement with the alarm mark free, or at its first."""
        self._last_s = 0.0

    async def run(self) -> None:
        """Check until cancelled; a failed measurement is logged and repeated."""
        while True:
            pause_s = disk_watch.SLOW_S
            try:
                pause_s = await self.check()
            except HostFailed as error:
                log.warning("disk_not_measured", extra={"because": str(error)})
            await self._clock.sleep(pause_s)

    async def check(self) -> float:
        """Measure once and act; returns the time until the next check. Raises HostFailed."""
        stores = await asyncio.to_thread(self._sizes.measure, self._writing())
        now_s = self._clock.monotonic_s()
        spaces = []
        for store in stores:
            before = self._last.get(str(store.folder), store)
            calm = self._calm_before(store)
            space = self._space(before, calm, store, now_s - self._last_s)
            spaces.append(space)
            await self._act(space, _writers(before, calm, store))
        self._last, self._last_s = {str(store.folder): store for store in stores}, now_s
        NEAR.set(int(any(space.free_mib < space.alarm_mib for space in spaces)))
        return min(disk_watch.pause_s(space) for space in spaces)

    def _calm_before(self, store: StoreSizes) -> StoreSizes:
        name = str(store.folder)
        calm = self._calm.get(name)
        if calm is None or store.free_mib >= self._settings.alarm_mib:
            copy = dataclasses.replace(store, taken_mib=dict(store.taken_mib))
            self._calm[name] = copy
            return calm or copy
        for guest, taken_mib in store.taken_mib.items():
            calm.taken_mib.setdefault(guest, taken_mib)
        return calm

    def _space(
        self, before: StoreSizes, calm: StoreSizes, store: StoreSizes, seconds: float
    ) -> Space:
        return Space(
            str(store.folder),
            free_mib=store.free_mib,
            lost_mib=before.free_mib - store.free_mib,
            seconds=seconds,
            floor_mib=self._settings.free_floor_mib,
            alarm_mib=self._settings.alarm_mib,
            lost_since_alarm_mib=calm.free_mib - store.free_mib,
        )

    async def _act(self, space: Space, writers: list[Writer]) -> None:
        for order in disk_watch.stop_orders(space, writers):
            ENDED.labels("at_once" if order.at_once else "asked").inc()
            log.warning(
                "desktop_filled_disk",
                extra={
                    "vm": order.vm_id,
                    "at_once": order.at_once,
                    "because": order.because,
                },
            )
            await self._end(order)

    def _writing(self) -> list[GuestFiles]:
        return [
            GuestFiles(status.order.vm.id, status.order.user.id, status.generation)
            for status in self._desktops.guests()
            if status.state in WRITING and status.generation is not None
        ]

    async def _end(self, order: StopOrder) -> None:
        """Stop the desktop; if at once, also all others of its user that share the home."""
        culprit = next((one for one in self._writing() if one.vm_id == order.vm_id), None)
        if not order.at_once or culprit is None:
            self._desktops.end_for_disk(order.vm_id, order.because, at_once=order.at_once)
            return
        # Until it is dead and its dirty pages are written, it could use up all free space.
        try:
            await self._barrier.block_writes(culprit.vm_id, culprit.user_id, culprit.generation)
        except HostFailed as error:
            because = str(error)
            log.warning("disk_writes_not_blocked", extra={"vm": culprit.vm_id, "because": because})
        for status in self._desktops.guests():
            if status.order.user.id == culprit.user_id:
                self._desktops.end_for_disk(status.order.vm.id, order.because, at_once=True)


def _writers(before: StoreSizes, calm: StoreSizes, now: StoreSizes) -> list[Writer]:
    # A guest without an earlier measurement is new: all that it holds was just written.
    return [
        Writer(
            guest.vm_id,
            taken_mib - before.taken_mib.get(guest, taken_mib),
            taken_mib - calm.taken_mib.get(guest, taken_mib),
        )
        for guest, taken_mib in now.taken_mib.items()
    ]
