"""Until when a node may keep what another one may take over."""

import asyncio
import fcntl
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from qvdnode.daemon import watchdog
from qvdnode.daemon.self_fence import (
    BEGIN_AGAIN_S,
    FILE_NAME,
    HEARD_S,
    LEAVING_S,
    OUTAGE_S,
    GuardedGuests,
    SelfFence,
    all_cut_off,
)
from qvdnode.host import cgroups, process
from qvdnode.model.ids import NodeId
from qvdnode.runtime.clock import SystemClock
from tests.fakes.clock import ManualClock
from tests.unit.cluster.core.test_placement import node
from tests.waiting import until

if TYPE_CHECKING:
    from qvdnode.cluster.core.placement import Load
    from qvdnode.cluster.lease_keeper import LeaseKeeper


class Lease:
    """As much of cluster.lease_keeper.LeaseKeeper."""

    def __init__(self, deadline_s: float | None) -> None:
        self.deadline_s = deadline_s


class World:
    """A node with a desktop that another one may take over."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / FILE_NAME
        self.clock = ManualClock()
        self.kept = ["guests/1"]
        self.guarded = True
        self.lease: Lease | None = Lease(self.clock.monotonic_s() + 13)
        self.outage = False
        monkeypatch.setattr(watchdog, "boot_s", lambda: 5000.0 + self.clock.monotonic_s())
        self.fence = self.make()

    def make(self) -> SelfFence:
        return SelfFence(
            GuardedGuests(self.file.parent, "guests", lambda: self.kept, self.guarded),
            lambda: cast("LeaseKeeper | None", self.lease),
            lambda: self.outage,
            self.clock,
        )

    def left_s(self) -> float:
        """How long the watchdog would still wait."""
        return watchdog.decode(self.file.read_bytes()).until_s - watchdog.boot_s()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_desktops_may_stay_until_the_lease_is_over(world: World) -> None:
    world.fence.update()
    assert world.left_s() == pytest.approx(13)
    world.clock.advance(20)
    world.fence.update()
    assert world.left_s() == pytest.approx(-7)
    order = watchdog.decode(world.file.read_bytes())
    assert (order.above, order.keep) == ("guests", ("guests/1",))


def test_they_stay_while_the_database_is_away_for_all(world: World) -> None:
    world.clock.advance(20)
    world.outage = True
    world.fence.update()
    assert world.left_s() == pytest.approx(OUTAGE_S)


def test_a_lease_that_was_refused_leaves_what_was_said(world: World) -> None:
    world.fence.update()
    for lease in (Lease(None), None):
        world.lease = lease
        world.fence.update()
        assert world.left_s() == pytest.approx(13)
    world.clock.advance(20)
    world.fence = world.make()  # another process of the node
    world.fence.update()
    assert world.left_s() == pytest.approx(-7)


def test_a_node_without_such_desktops_needs_no_watchdog(world: World) -> None:
    world.guarded = False
    fence = world.make()
    assert not fence.update()
    assert fence.problem() is None
    assert not world.file.exists()


def test_a_watchdog_is_begun_and_begun_again(world: World) -> None:
    assert world.fence.update()
    assert not world.fence.update()  # it may be on its way
    world.clock.advance(BEGIN_AGAIN_S)
    assert world.fence.update()
    world.clock.advance(BEGIN_AGAIN_S)
    assert "does not run yet" in str(world.fence.problem())
    with watchdog.lock_file(world.file).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not world.fence.update()
        assert world.fence.problem() is None


def test_what_stays_after_a_stop_ends_before_others_may_take_it(world: World) -> None:
    world.fence.update()
    world.fence.leave(guests_stay=True)
    assert world.left_s() == pytest.approx(LEAVING_S)
    assert not world.fence.update()  # its lease may run for longer
    assert world.left_s() == pytest.approx(LEAVING_S)
    world.fence.leave(guests_stay=False)
    assert not world.file.exists()


def test_an_outage_is_one_that_every_node_tells_of() -> None:
    two, three = (node(n, database=False, age_s=1.0) for n in (2, 3))
    both = [NodeId(2), NodeId(3)]
    assert all_cut_off(both, [two, three])
    others: list[list[Load]] = [
        [two],
        [two, replace(three, database=True)],
        [two, replace(three, suspect=True)],
        [two, replace(three, age_s=HEARD_S)],
    ]
    for heard in others:
        assert not all_cut_off(both, heard)


@pytest.mark.timeout(90)
async def test_a_real_watchdog_kills_what_is_overdue(tmp_path: Path) -> None:
    """It is begun by the node, and goes on when the node does not write any more."""
    groups = cgroups.probe()
    above = f"test-watchdog-{os.getpid()}"
    group = f"{above}/guest"
    folder = groups.hierarchies[0] / group
    folder.mkdir(parents=True)
    clock = SystemClock()
    lease = cast("LeaseKeeper", Lease(clock.monotonic_s() + 2))
    guests = GuardedGuests(tmp_path, above, list, guarded=True)
    fence = SelfFence(guests, lambda: lease, lambda: False, clock)
    sleeper = await process.launch(["sleep", "600"])
    running = asyncio.create_task(fence.run())
    try:
        (folder / "cgroup.procs").write_text(str(sleeper.pid))
        await until(lambda: fence.problem() is None, limit_s=30)
        running.cancel()  # the node hangs
        async with asyncio.timeout(30):
            await sleeper.wait()
    finally:
        running.cancel()
        fence.leave(guests_stay=False)
        if fence.begun is not None:
            async with asyncio.timeout(15):
                await fence.begun.wait()
        await process.end(sleeper)
        groups.remove(above)
