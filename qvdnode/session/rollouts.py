"""Makes rollouts go on, and stops desktops of this node that should run on another version.

model/rollout.py decides. Any node takes the steps; each stops its own desktops.
"""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

from qvdnode.db.rollouts import KeptRollout, Moved, Place
from qvdnode.model.errors import FarmError
from qvdnode.model.ids import Generation, ImageId, VmId
from qvdnode.model.rollout import Ending, RolloutState, ending_of
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.clock import Clock
from qvdnode.session.ports import DesktopHost
from qvdnode.telemetry.metrics import Counter
from qvdnode.vm.status import GuestStatus

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 5.0
FORGET_EVERY_S: Final = 3_600.0
UNUSED_S: Final = 60.0
"""Without a client for so long a desktop counts as left, as when a node is emptied."""
EXPIRED: Final = Counter(
    "qvdnode_rollout_desktops_expired",
    "Desktops stopped because they ran on another version than they should, by why.",
    ["why"],
)

Start = tuple[VmId, Generation]


class RolloutStore(Protocol):
    """What db.rollouts.Rollouts does."""

    async def go_on(self) -> Sequence[Moved]:
        """Let happen what is due for each rollout."""
        ...

    async def followed(self) -> Sequence[KeptRollout]:
        """The newest rollout of each image."""
        ...

    async def places(self, image_id: ImageId) -> Sequence[Place]:
        """Where all desktops of an image are."""
        ...

    async def mark_stale(self, vm_id: VmId, generation: Generation) -> float:
        """Note that a desktop should run on another version; returns since how many seconds."""
        ...

    async def mark_fresh(self, vm_id: VmId, generation: Generation) -> None:
        """Undo `mark_stale`."""
        ...

    async def forget_old(self) -> None:
        """Delete starts that ended long ago."""
        ...


class RolloutKeeper:
    """One for each node; run `run` as a task."""

    def __init__(self, store: RolloutStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._stale: dict[Start, float] = {}
        """When each desktop that should move began to be so, on this node's clock."""
        self._left: dict[Start, float] = {}
        """Since when desktops have no client."""

    async def run(self, guests: DesktopHost) -> None:
        """Look after rollouts until cancelled; while the database is away nothing happens."""
        forget_s = self._clock.monotonic_s()
        while True:
            try:
                await self.look(guests)
                if self._clock.monotonic_s() >= forget_s:
                    await self._store.forget_old()
                    forget_s = self._clock.monotonic_s() + FORGET_EVERY_S
            except FarmError as error:
                log.debug("rollouts_not_followed", extra={"because": str(error)})
            await self._clock.sleep(LOOK_EVERY_S)

    async def look(self, guests: DesktopHost) -> None:
        """Take the steps that are due, then stop what has expired here; raises Unavailable."""
        for moved in await self._store.go_on():
            _tell(moved)
        statuses = {
            (status.order.vm.id, status.generation): status
            for status in await guests.statuses()
            if status.state is VmState.RUNNING and status.generation is not None
        }
        self._note_clients(statuses)
        stale: set[Start] = set()
        for kept in await self._store.followed():
            if kept.rollout.expiry.soft_s or kept.rollout.expiry.hard_s:
                stale |= await self._expire(kept, statuses, guests)
        for start in self._stale.keys() - stale:
            del self._stale[start]
            await self._store.mark_fresh(*start)

    def _note_clients(self, statuses: dict[Start, GuestStatus]) -> None:
        now_s = self._clock.monotonic_s()
        self._left = {
            start: self._left.get(start, now_s)
            for start, status in statuses.items()
            if not status.viewer
        }

    async def _expire(
        self, kept: KeptRollout, statuses: dict[Start, GuestStatus], guests: DesktopHost
    ) -> set[Start]:
        """Stop what has expired; returns the desktops that should move."""
        here = {vm_id for vm_id, _ in statuses}
        stale: set[Start] = set()
        if not any(s.order.flavour.image_id == kept.image_id for s in statuses.values()):
            return stale
        for place in await self._store.places(kept.image_id):
            start = (place.member.vm_id, place.generation)
            if place.member.vm_id not in here or start not in statuses or place.version is None:
                continue
            if place.version == kept.rollout.version_of(place.member, kept.head_version):
                continue
            stale.add(start)
            await self._stop_expired(kept, start, guests)
        return stale

    async def _stop_expired(self, kept: KeptRollout, start: Start, guests: DesktopHost) -> None:
        now_s = self._clock.monotonic_s()
        if start not in self._stale:
            self._stale[start] = now_s - await self._store.mark_stale(*start)
        in_use = now_s - self._left.get(start, now_s) < UNUSED_S
        ending = ending_of(kept.rollout.expiry, now_s - self._stale[start], in_use=in_use)
        if ending is None:
            return
        extra = {"vm": start[0], "image": kept.image_id, "why": ending.value}
        log.info("desktop_expired", extra=extra)
        try:
            await guests.stop(start[0])
        except FarmError as error:
            log.warning("desktop_not_stopped", extra={"vm": start[0], "because": str(error)})
            return
        EXPIRED.labels(ending.value).inc()


for each in Ending:
    EXPIRED.labels(each.value)  # shown from the start, as 0


def _tell(moved: Moved) -> None:
    rollout = moved.rollout
    level = logging.WARNING if rollout.state is RolloutState.ROLLED_BACK else logging.INFO
    log.log(
        level,
        "rollout_moved",
        extra={
            "image": moved.image_id,
            "to_version": rollout.to_version,
            "state": rollout.state.value,
            "stage": rollout.stage,
            "because": moved.reason,
        },
    )
