"""Watches the disk while desktops run, and has those ended that would take it from the others.

Core decides whom and when; here is measured, and told.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Collection
from typing import Final, Protocol

from qvdnode.image.core import disk_watch
from qvdnode.image.core.disk_watch import Ending, Space, Writer
from qvdnode.image.disk_sizes import StoreSizes, Tenancy
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
"""In which states a desktop can write to the disk."""
NEAR: Final = Gauge(
    "qvdnode_disk_nearly_full", "1 while less than image.free_alarm_mib is free for desktops"
)


class Sizes(Protocol):
    """What is measured."""

    def look(self, guests: Collection[Tenancy]) -> list[StoreSizes]:
        """How each file system is now; raises HostFailed. Blocks."""
        ...


class DiskWatch:
    """One for the node; `run` is a task of it."""

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
        """Each store at the last look that found the alarm mark or more free, or at the first."""
        self._last_s = 0.0

    async def run(self) -> None:
        """Look for ever; a look that the host does not let through is logged, and tried again."""
        while True:
            pause_s = disk_watch.SLOW_S
            try:
                pause_s = await self.look()
            except HostFailed as error:
                log.warning("disk_not_looked_at", extra={"because": str(error)})
            await self._clock.sleep(pause_s)

    async def look(self) -> float:
        """Look once and act; how long to wait for the next time. Raises HostFailed."""
        stores = await asyncio.to_thread(self._sizes.look, self._writing())
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
        for ending in disk_watch.endings(space, writers):
            ENDED.labels("at_once" if ending.at_once else "asked").inc()
            log.warning(
                "desktop_filled_disk",
                extra={
                    "vm": ending.vm_id,
                    "at_once": ending.at_once,
                    "because": ending.because,
                },
            )
            await self._end(ending)

    def _writing(self) -> list[Tenancy]:
        return [
            Tenancy(status.order.vm.id, status.order.user.id, status.generation)
            for status in self._desktops.guests()
            if status.state in WRITING and status.generation is not None
        ]

    async def _end(self, ending: Ending) -> None:
        """Have the desktop ended; at once, with all of its user's that share the home."""
        culprit = next((one for one in self._writing() if one.vm_id == ending.vm_id), None)
        if not ending.at_once or culprit is None:
            self._desktops.end_for_disk(ending.vm_id, ending.because, at_once=ending.at_once)
            return
        # Before it is dead, and what it has in memory is written, it could take all there is.
        try:
            await self._barrier.cut_off(culprit.vm_id, culprit.user_id, culprit.generation)
        except HostFailed as error:
            because = str(error)
            log.warning("disk_not_cut_off", extra={"vm": culprit.vm_id, "because": because})
        for status in self._desktops.guests():
            if status.order.user.id == culprit.user_id:
                self._desktops.end_for_disk(status.order.vm.id, ending.because, at_once=True)


def _writers(before: StoreSizes, calm: StoreSizes, now: StoreSizes) -> list[Writer]:
    # One that was not seen before has just been made, with all that is in it.
    return [
        Writer(
            guest.vm_id,
            taken_mib - before.taken_mib.get(guest, taken_mib),
            taken_mib - calm.taken_mib.get(guest, taken_mib),
        )
        for guest, taken_mib in now.taken_mib.items()
    ]
