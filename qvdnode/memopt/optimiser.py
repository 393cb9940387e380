"""Measures guests and host periodically, and acts: hibernates, and steers the merging of memory."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping  # noqa: TC003 - the annotation names what is stored
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from qvdnode.memopt.core import figures
from qvdnode.memopt.core.credit import Outlook, outlook
from qvdnode.memopt.core.figures import MIB, GuestFigures
from qvdnode.memopt.core.hibernation import AT_ONCE, Marks, plan
from qvdnode.memopt.core.live_reclaim import Feedback, need, plan_steps
from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.memopt.core.merging import Merging
from qvdnode.memopt.host_memory import HostMemoryReader
from qvdnode.memopt.ksm import Ksm
from qvdnode.memopt.ports import Desktops, DesktopStatus, Reclaimer
from qvdnode.memopt.settings import MemorySettings
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.model.guest import GuestMemory, HostNeed
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import Counter, Gauge

log = logging.getLogger(__name__)

EVERY_S: Final = 5.0
SOON_S: Final = 1.0
"""After a full batch of hibernations: there is more to be done."""
SLICE: Final = 8
"""Guests that are measured in a row, in about a millisecond, before others get their turn."""
ACTIONS_KEPT: Final = 50
NOTHING: Final = GuestMemory(0, 0)

HIBERNATIONS = Counter("qvdnode_hibernations", "Desktops that were hibernated")
RECLAIMED = Counter("qvdnode_live_reclaimed_mib", "Memory pushed to swap of desktops that run")
HIBERNATED = Gauge("qvdnode_desktops_hibernated", "Desktops that are hibernated")
SWAPPED = Gauge("qvdnode_desktops_swapped_mib", "Memory of desktops in swap, before compression")
RESIDENT = Gauge("qvdnode_desktops_resident_mib", "Memory that all desktops take")


@dataclass(frozen=True, slots=True)
class Action:
    """Something that was done about memory, and why."""

    at: datetime
    vm_id: VmId
    what: str
    reason: str


class MemoryOptimiser:
    """`run` must be running. What it found and did last can be read at any time."""

    def __init__(
        self,
        desktops: Desktops,
        reclaimer: Reclaimer,
        reader: HostMemoryReader,
        ksm: Ksm,
        settings: MemorySettings,
        clock: Clock,
    ) -> None:
        self._desktops = desktops
        self._reclaimer = reclaimer
        self._reader = reader
        self._ksm = ksm
        self._settings = settings
        self._clock = clock
        self._measured_s = clock.monotonic_s()
        self.guests: list[GuestFigures] = []
        self.actions: deque[Action] = deque(maxlen=ACTIONS_KEPT)
        self.obstacle: str | None = None
        """What keeps desktops awake that should be hibernated, for an administrator."""
        self.reclaimed_mib = 0
        """How much of running desktops was to be pushed to swap since the process began."""
        self.reclaim_reason = "nothing was measured yet"
        self._feedback: Mapping[VmId, Feedback] = {}
        self._launches = 0
        self._more = False

    async def run(self) -> None:
        """Measure and act, until cancelled."""
        while True:
            try:
                await self.step()
            except HostFailed as error:
                log.warning("memory_not_measured", extra={"because": str(error)})
            await self._clock.sleep(SOON_S if self._more else EVERY_S)

    async def step(self) -> None:
        """Measure once, and act on it."""
        await self._measure()
        if self._settings.ksm is not Merging.OFF:
            now_s = self._clock.monotonic_s()
            self._ksm.steer(self._launches, now_s, self._settings.ksm_cpu_pct)
        # What is on its way to swap is not free yet: more would be hibernated than is needed.
        if self._settings.hibernate and self._reclaimer.pending == 0:
            await self._hibernate()
        if self._settings.live_reclaim:
            await self._reclaim()

    def used_mib(self) -> int:
        """What all guests take, by the last measurement."""
        return sum(guest.memory.used_bytes for guest in self.guests) // MIB

    def outlook(self) -> Outlook:
        """What the promises do not tell, by the last measurement."""
        merged_mib = 0
        if self._settings.ksm is not Merging.OFF:
            merged_mib = max(self._ksm.figures().saved_mib, 0)
        return outlook(self.guests, merged_mib, self._settings.credit_pct)

    async def _measure(self) -> None:
        now, now_s = self._clock.now(), self._clock.monotonic_s()
        before = {guest.vm_id: guest.memory for guest in self.guests}
        seconds, self._measured_s = now_s - self._measured_s, now_s
        found: list[GuestFigures] = []
        for number, status in enumerate(self._desktops.guests()):
            # A thousand guests take many milliseconds: clients get their turn in between.
            if number % SLICE == 0:
                await asyncio.sleep(0)
            memory = await self._desktops.memory(status.order.vm.id) or NOTHING
            pct = figures.cpu_pct(before.get(status.order.vm.id), memory, seconds)
            found.append(_figures(status, memory, pct, now))
        started = {guest.vm_id for guest in found} - before.keys()
        self._launches += len(started)
        self.guests = found
        asleep = [guest for guest in found if guest.state is VmState.HIBERNATED]
        HIBERNATED.set(len(asleep))
        RESIDENT.set(self.used_mib())
        SWAPPED.set(sum(guest.memory.swapped_bytes for guest in found) // MIB)

    async def _hibernate(self) -> None:
        memory, now = self._reader.memory(), self._clock.now()
        self._more = False
        made = plan(self.guests, memory, self._marks(memory), now)
        if made.obstacle is not None and made.obstacle != self.obstacle:
            log.warning("desktops_stay_awake", extra={"because": made.obstacle})
        self.obstacle = made.obstacle
        # There may be more to do than one step takes.
        self._more = len(made.choices) == AT_ONCE
        for vm_id, reason in made.choices:
            if await self._desktops.hibernate(vm_id):
                HIBERNATIONS.inc()
                self.actions.append(Action(now, vm_id, "hibernate", reason))
                log.info("desktop_hibernated", extra={"vm": vm_id, "because": reason})

    async def _reclaim(self) -> None:
        memory, now_s = self._reader.memory(), self._clock.monotonic_s()
        host = memory, self._reader.pressure("memory")
        marks = self._marks(memory)
        # The host cannot tell which pages of a machine its guest uses, so machines give memory by
        # their balloon and are left out below.
        machines = await self._settle_balloons(need(memory, marks))
        others = [guest for guest in self.guests if guest.vm_id not in machines]
        made = plan_steps(others, self._feedback, host, marks, now_s)
        self._feedback, self.reclaim_reason = made.memory, made.why
        groups = [(self._desktops.control_group(step.vm_id), step.mib) for step in made.steps]
        steps = [(group, mib * MIB) for group, mib in groups if group is not None]
        if not steps:
            return
        try:
            await self._reclaimer.push(steps)
        except (HostFailed, TimedOut) as error:
            log.warning("live_reclaim_failed", extra={"because": str(error)})
            return
        pushed_mib = sum(size for _, size in steps) // MIB
        self.reclaimed_mib += pushed_mib
        RECLAIMED.inc(pushed_mib)
        facts = {"guests": len(steps), "mib": pushed_mib, "because": made.why}
        log.info("live_memory_reclaimed", extra=facts)

    async def _settle_balloons(self, host_need: HostNeed) -> set[VmId]:
        """Have virtual machines give what they need least; the guests that are such machines."""
        found: set[VmId] = set()
        for guest in self.guests:
            if guest.state is not VmState.RUNNING:
                continue
            try:
                taken_mib = await self._desktops.settle_balloon(guest.vm_id, host_need)
            except (HostFailed, TimedOut) as error:
                log.warning("balloon_not_set", extra={"vm": guest.vm_id, "because": str(error)})
                continue
            if taken_mib is not None:
                found.add(guest.vm_id)
        return found

    def _marks(self, memory: HostMemory) -> Marks:
        return Marks(
            warm_mib=memory.total_mib * self._settings.warm_pct // 100,
            squeeze_mib=memory.total_mib * self._settings.squeeze_pct // 100,
            busy_pct=self._settings.busy_pct,
        )


def _figures(
    status: DesktopStatus, memory: GuestMemory, cpu_pct: float, now: datetime
) -> GuestFigures:
    flavour, vm = status.order.flavour, status.order.vm
    return GuestFigures(
        vm_id=vm.id,
        name=vm.name,
        user=vm.user_login,
        state=status.state,
        viewer=status.viewer,
        unused_since=status.unused_since,
        grace_s=flavour.hibernate_after_s,
        promised_mib=flavour.memory_mib,
        up_s=(now - status.since).total_seconds(),
        memory=memory,
        cpu_pct=cpu_pct,
    )
