import asyncio
import logging

import pytest

from qvdnode.cluster.lease_keeper import LeaseKeeper
from qvdnode.cluster.settings import ClusterSettings
from qvdnode.model.errors import LeaseLost, Unavailable
from qvdnode.model.ids import NodeId
from tests.fakes.clock import ManualClock
from tests.waiting import until


class Leases:
    """A database that renews, refuses, is away or is slow."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.away = False
        self.fenced = False
        self.takes_s = 0.0
        self.left: tuple[NodeId, int, bool] | None = None
        self.asked: list[tuple[NodeId, int, float]] = []

    async def renew(self, node_id: NodeId, epoch: int, ttl_s: float) -> bool:
        self.asked.append((node_id, epoch, ttl_s))
        self._clock.advance(self.takes_s)
        if self.away:
            raise Unavailable("The database does not answer.")
        return not self.fenced

    async def leave(self, node_id: NodeId, epoch: int, *, guests_stay: bool) -> None:
        if self.away:
            raise Unavailable("The database does not answer.")
        self.left = (node_id, epoch, guests_stay)
        self.fenced = True


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def leases(clock: ManualClock) -> Leases:
    return Leases(clock)


@pytest.fixture
def keeper(clock: ManualClock, leases: Leases) -> LeaseKeeper:
    return LeaseKeeper(leases, clock, ClusterSettings(), NodeId(1), 4)


async def test_nothing_starts_before_the_first_renewal(keeper: LeaseKeeper) -> None:
    assert not keeper.valid()
    assert "new ones cannot start" in str(keeper.problem())


async def test_a_renewal_is_good_for_the_ttl_less_the_margin(
    keeper: LeaseKeeper, clock: ManualClock, leases: Leases
) -> None:
    await keeper.renew()
    assert leases.asked == [(NodeId(1), 4, 15.0)]
    clock.advance(12.9)
    assert keeper.valid()
    assert keeper.problem() is None
    clock.advance(0.1)
    assert not keeper.valid()


async def test_a_slow_answer_counts_from_the_question(
    keeper: LeaseKeeper, clock: ManualClock, leases: Leases
) -> None:
    leases.takes_s = 10.0
    await keeper.renew()
    clock.advance(2.9)
    assert keeper.valid()
    clock.advance(0.2)
    assert not keeper.valid()


async def test_an_absent_database_is_waited_out(
    keeper: LeaseKeeper, clock: ManualClock, leases: Leases
) -> None:
    await keeper.renew()
    leases.away = True
    clock.advance(10.0)
    await keeper.renew()
    assert keeper.valid()
    clock.advance(10.0)
    await keeper.renew()
    assert not keeper.valid()
    leases.away = False
    await keeper.renew()
    assert keeper.valid()


async def test_a_refusal_ends_the_lease_at_once(keeper: LeaseKeeper, leases: Leases) -> None:
    await keeper.renew()
    leases.fenced = True
    with pytest.raises(LeaseLost, match="restart it"):
        await keeper.renew()
    assert not keeper.valid()


async def test_a_released_lease_is_not_renewed(keeper: LeaseKeeper, leases: Leases) -> None:
    await keeper.renew()
    await keeper.leave(guests_stay=True)
    assert leases.left == (NodeId(1), 4, True)
    assert not keeper.valid()
    asked = len(leases.asked)
    await keeper.renew()
    assert len(leases.asked) == asked


async def test_a_renewal_under_way_is_waited_for_before_leaving(clock: ManualClock) -> None:
    answered = asyncio.Event()

    class Slow(Leases):
        async def renew(self, node_id: NodeId, epoch: int, ttl_s: float) -> bool:
            await answered.wait()
            return await super().renew(node_id, epoch, ttl_s)

    slow = Slow(clock)
    keeper = LeaseKeeper(slow, clock, ClusterSettings(), NodeId(1), 4)
    async with asyncio.TaskGroup() as group:
        _ = group.create_task(keeper.renew())
        await asyncio.sleep(0)
        leaving = group.create_task(keeper.leave(guests_stay=True))
        await asyncio.sleep(0)
        assert slow.left is None
        answered.set()
        await leaving
    assert slow.left == (NodeId(1), 4, True)


async def test_it_renews_every_three_seconds(
    keeper: LeaseKeeper, clock: ManualClock, leases: Leases
) -> None:
    task = asyncio.create_task(keeper.run())
    for renewals in (1, 2, 3):
        await until(lambda: clock.sleepers, what="the pause between two renewals")
        assert len(leases.asked) == renewals
        clock.advance(3.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_after_a_failure_it_tries_again_soon(
    keeper: LeaseKeeper, clock: ManualClock, leases: Leases
) -> None:
    task = asyncio.create_task(keeper.run())
    await until(lambda: clock.sleepers, what="the pause after the first renewal")
    leases.away = True
    clock.advance(3.0)
    await until(lambda: len(leases.asked) == 2 and clock.sleepers, what="the failed renewal")
    leases.away = False
    clock.advance(0.5)
    await until(lambda: len(leases.asked) == 3, what="the next attempt")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_only_changes_are_logged(
    keeper: LeaseKeeper, clock: ManualClock, leases: Leases, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await keeper.renew()
        await keeper.renew()
        leases.away = True
        clock.advance(20.0)
        await keeper.renew()
        await keeper.renew()
    assert [r.getMessage() for r in caplog.records] == ["lease_valid", "lease_expired"]
