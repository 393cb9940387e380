"""Rollouts go on, and desktops on the other version expire, in virtual time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from qvdnode.db.rollouts import KeptRollout, Moved, Place
from qvdnode.model.ids import Generation, ImageId, VmId
from qvdnode.model.rollout import Expiry, Gate, Member, Rollout, RolloutState, Stage
from qvdnode.model.vm_state import VmState
from qvdnode.session.rollouts import LOOK_EVERY_S, RolloutKeeper
from tests.fakes.clock import ManualClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.orders import desktop_order

AT = datetime(2026, 1, 1, tzinfo=UTC)
ROLLOUT = Rollout(1, 1, 2, (Stage("100%", 60),), Gate(), Expiry(120, 600), RolloutState.RUNNING, 0)


class Store:
    """One image whose desktops all run on version 1."""

    def __init__(self, clock: ManualClock, rollout: Rollout = ROLLOUT) -> None:
        self.clock, self.rollout = clock, rollout
        self.moves: list[Moved] = []
        self.stale: dict[VmId, float] = {}
        self.version = 1
        self.forgotten = 0

    async def go_on(self) -> Sequence[Moved]:
        moves, self.moves = self.moves, []
        return moves

    async def followed(self) -> Sequence[KeptRollout]:
        return [KeptRollout(self.rollout, IMAGE, 1, "", "ana", AT, AT, 0.0)]

    async def places(self, image_id: ImageId) -> Sequence[Place]:
        member = Member(ORDER.vm.id, "alice@default")
        there = Place(member, "desk", Generation(1), "running", "one", self.version, None)
        return [there, replace(there, member=Member(VmId(99), "bob@default"))]

    async def mark_stale(self, vm_id: VmId, generation: Generation) -> float:
        return self.clock.monotonic_s() - self.stale.setdefault(vm_id, self.clock.monotonic_s())

    async def mark_fresh(self, vm_id: VmId, generation: Generation) -> None:
        del self.stale[vm_id]

    async def forget_old(self) -> None:
        self.forgotten += 1


ORDER = desktop_order()
IMAGE = ORDER.flavour.image_id


async def ends_after(*, viewer: bool, rollout: Rollout = ROLLOUT, limit_s: int = 1_000) -> float:
    """After how many seconds the desktop is stopped; `limit_s` if it is not."""
    clock, fleet = ManualClock(), FakeFleet()
    fleet.put(ORDER, VmState.RUNNING, viewer=viewer)
    store = Store(clock, rollout)
    keeper = RolloutKeeper(store, clock)
    for passed in range(0, limit_s, int(LOOK_EVERY_S)):
        await keeper.look(fleet)
        if fleet.guest(ORDER.vm.id) is None:
            return passed
        clock.advance(LOOK_EVERY_S)
    return limit_s


async def test_an_unused_desktop_moves_after_the_soft_time_one_in_use_after_the_hard_one() -> None:
    assert await ends_after(viewer=False) == 120
    assert await ends_after(viewer=True) == 600


@pytest.mark.parametrize(
    "changes",
    [
        {"expiry": Expiry()},
        {"state": RolloutState.ABORTED},  # so version 1 is right
        {"stages": (Stage("tag:pilot", 1), Stage("100%", 1))},  # not covered yet
    ],
)
async def test_a_desktop_that_need_not_move_stays(changes: dict[str, object]) -> None:
    rollout = replace(ROLLOUT, **changes)  # type: ignore[arg-type]  # of the parameters above
    assert await ends_after(viewer=False, rollout=rollout) == 1_000


async def test_a_node_that_was_restarted_goes_on_counting() -> None:
    clock, fleet = ManualClock(), FakeFleet()
    fleet.put(ORDER, VmState.RUNNING, viewer=True)
    store = Store(clock)
    await RolloutKeeper(store, clock).look(fleet)
    clock.advance(600)
    await RolloutKeeper(store, clock).look(fleet)
    assert fleet.guest(ORDER.vm.id) is None


async def test_a_desktop_that_has_moved_is_not_counted_on() -> None:
    clock, fleet = ManualClock(), FakeFleet()
    fleet.put(ORDER, VmState.RUNNING, viewer=True)
    store = Store(clock)
    keeper = RolloutKeeper(store, clock)
    await keeper.look(fleet)
    assert store.stale
    store.version = 2
    await keeper.look(fleet)
    assert not store.stale


async def test_steps_are_logged_a_rollback_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    store = Store(clock)
    back = replace(ROLLOUT, state=RolloutState.ROLLED_BACK)
    store.moves = [Moved(IMAGE, ROLLOUT, "soaked"), Moved(IMAGE, back, "1 of 1 starts failed")]
    caplog.set_level("INFO")
    await RolloutKeeper(store, clock).look(FakeFleet())
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
