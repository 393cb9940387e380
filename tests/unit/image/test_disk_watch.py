import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest

from qvdnode.image.core.disk_watch import FAST_S, SLOW_S, StopOrder
from qvdnode.image.disk_sizes import GuestFiles, StoreSizes
from qvdnode.image.disk_watch import DiskWatch
from qvdnode.image.settings import ImageSettings
from qvdnode.model.errors import HostFailed
from qvdnode.model.ids import Generation, UserId, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.telemetry.metrics import exposition
from tests.fakes.clock import ManualClock
from tests.fakes.orders import desktop_order
from tests.waiting import until

STATE = Path("/state")
ONE, TWO = (GuestFiles(VmId(number), UserId(number), Generation(1)) for number in (1, 2))


class Disk:
    """A file system of 1,000 MiB that guests write to."""

    def __init__(self) -> None:
        self.taken = {ONE: 0.0, TWO: 0.0}
        self.broken = False

    def measure(self, guests: Collection[GuestFiles]) -> list[StoreSizes]:
        if self.broken:
            raise HostFailed("The disk cannot be measured.")
        taken = {guest: self.taken[guest] for guest in guests}
        return [StoreSizes(STATE, 1_000 - sum(self.taken.values()), taken)]


class Status:
    """A desktop as those who run it tell of it."""

    def __init__(
        self,
        vm_id: int,
        user_id: int,
        state: VmState = VmState.RUNNING,
        generation: int | None = 1,
    ) -> None:
        self.order = desktop_order(vm_id, user_id=user_id)
        self.state = state
        self.generation = None if generation is None else Generation(generation)


class World:
    """A watch on that disk, with what it ended."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.clock = ManualClock()
        self.writers = [ONE, TWO]
        self.others: list[Status] = []
        """Desktops that write nothing just now."""
        self.ended: list[StopOrder] = []
        self.cut: list[tuple[VmId, int]] = []
        """What was cut off, and how many had been ended before that."""
        self.cut_fails = False
        settings = ImageSettings(free_floor_mib=100, free_alarm_mib=400)
        self.watch = DiskWatch(settings, self.disk, self.clock, self, self)

    def guests(self) -> list[Status]:
        return [Status(one.vm_id, one.user_id) for one in self.writers] + self.others

    def end_for_disk(self, vm_id: VmId, reason: str, *, at_once: bool) -> None:
        self.ended.append(StopOrder(vm_id, at_once=at_once, because=reason))

    async def block_writes(self, vm_id: VmId, user_id: UserId, generation: Generation) -> None:
        assert (int(user_id), int(generation)) == (vm_id, 1)
        self.cut.append((vm_id, len(self.ended)))
        if self.cut_fails:
            raise HostFailed("It cannot be blocked.")

    async def look_after(self, seconds: float, **written: float) -> float:
        self.disk.taken[ONE] += written.get("one", 0)
        self.disk.taken[TWO] += written.get("two", 0)
        self.clock.advance(seconds)
        return await self.watch.check()


@pytest.fixture
def world() -> World:
    return World()


async def test_the_one_that_fills_the_disk_is_ended_and_no_other(world: World) -> None:
    assert await world.look_after(0) == SLOW_S
    assert await world.look_after(1, one=30, two=500) == FAST_S
    assert world.ended == []
    await world.look_after(1, one=5, two=100)
    assert [(order.vm_id, order.at_once) for order in world.ended] == [(2, True)]
    assert "wrote 100 MiB" in world.ended[0].because
    assert b'qvdnode_disk_desktops_ended_total{how="at_once"}' in exposition()
    assert b"qvdnode_disk_nearly_full 1.0" in exposition()


async def test_one_who_writes_a_little_at_a_time_is_ended_and_not_who_saves_a_document(
    world: World,
) -> None:
    await world.look_after(0)
    await world.look_after(1, two=590)
    for _ in range(500):
        await world.look_after(FAST_S, two=0.6)
        if world.ended:
            break
    assert [(order.vm_id, order.at_once) for order in world.ended] == [(2, False)]
    world.ended.clear()
    await world.look_after(FAST_S, one=6, two=0.6)
    assert 1 not in [order.vm_id for order in world.ended]


async def test_below_the_floor_a_document_may_still_be_saved(world: World) -> None:
    await world.look_after(0)
    await world.look_after(1, two=590)
    world.writers = [ONE]  # the culprit has been ended; its home is kept
    world.disk.taken[TWO] += 315
    await world.look_after(FAST_S)
    await world.look_after(FAST_S, one=6)
    assert world.ended == []
    await world.look_after(FAST_S, one=45)
    assert [order.vm_id for order in world.ended] == [1]


async def test_a_guest_that_is_new_has_written_nothing(world: World) -> None:
    world.writers = [ONE]
    await world.look_after(0, one=700)
    world.writers = [ONE, TWO]
    world.disk.taken[TWO] = 150
    await world.look_after(1)
    assert world.ended == []


async def test_the_first_look_ends_nobody_even_below_the_floor(world: World) -> None:
    await world.look_after(5, one=950)
    assert world.ended == []


async def test_a_look_that_fails_is_logged_and_tried_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.disk.broken = True
    running = asyncio.create_task(world.watch.run())
    await until(lambda: world.clock.sleepers)
    assert "disk_not_measured" in [record.msg for record in caplog.records]
    world.disk.broken = False
    await world.look_after(SLOW_S)
    assert not running.done()
    running.cancel()


async def test_one_that_is_ended_at_once_is_cut_off_first_and_all_that_share_its_home_go(
    world: World,
) -> None:
    world.others = [
        Status(8, 2, VmState.PREPARING, None),
        Status(9, 2, VmState.CLEANING),
        Status(10, 3, VmState.PREPARING, None),
    ]
    await world.look_after(0)
    await world.look_after(1, two=900)
    assert world.cut == [(2, 0)]
    assert [(order.vm_id, order.at_once) for order in world.ended] == [
        (2, True),
        (8, True),
        (9, True),
    ]


async def test_one_that_cannot_be_cut_off_is_ended_all_the_same(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.cut_fails = True
    await world.look_after(0)
    await world.look_after(1, two=900)
    assert [order.vm_id for order in world.ended] == [2]
    assert "disk_writes_not_blocked" in caplog.messages


async def test_one_that_is_asked_to_end_is_not_cut_off(world: World) -> None:
    await world.look_after(0)
    await world.look_after(1, two=590)
    while not world.ended:
        await world.look_after(FAST_S, two=0.6)
    assert (world.ended[0].at_once, world.cut) == (False, [])
