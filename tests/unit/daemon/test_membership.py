"""A node's place in the farm, with and without the database."""

import pytest

from qvdnode.cluster.lease_keeper import LeaseKeeper
from qvdnode.cluster.settings import ClusterSettings
from qvdnode.daemon.membership import Membership
from qvdnode.db.nodes import NodeSeat
from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.vm_state import VmState
from tests.fakes.clock import ManualClock
from tests.fakes.vm_store import FakeFarm, FakeVmStore
from tests.unit.cluster.test_lease_keeper import Leases

SEAT = NodeSeat(NodeId(1), epoch=4)


class Farm:
    """A farm that can be joined while its database is there."""

    def __init__(self) -> None:
        self.rows = FakeFarm()
        self.rows.add(7)
        self.membership = Membership(
            join=self._join, ownership=lambda _seat: FakeVmStore(self.rows)
        )

    async def _join(self) -> NodeSeat:
        if self.rows.away:
            raise Unavailable("The database does not answer.")
        return SEAT


async def test_a_node_joins_and_owns() -> None:
    farm = Farm()
    assert await farm.membership.try_join()
    assert farm.membership.seat == SEAT
    assert farm.membership.node_id() == 1
    assert farm.membership.not_joined() is None
    generation = await farm.membership.acquire(VmId(7))
    await farm.membership.record(VmId(7), generation, VmState.RUNNING)
    assert await farm.membership.owned() == [(7, generation, VmState.RUNNING)]
    await farm.membership.release(VmId(7), generation, VmState.STOPPED)
    assert await farm.membership.owned() == []


async def test_before_it_has_joined_a_node_starts_nothing_and_says_why() -> None:
    farm = Farm()
    farm.rows.away = True
    assert not await farm.membership.try_join()
    assert farm.membership.seat is None
    assert farm.membership.node_id() is None
    assert "new ones cannot start" in str(farm.membership.not_joined())
    with pytest.raises(Unavailable, match="running desktops go on"):
        await farm.membership.acquire(VmId(7))
    with pytest.raises(Unavailable):
        await farm.membership.owned()


async def test_it_may_be_tried_again() -> None:
    farm = Farm()
    farm.rows.away = True
    assert not await farm.membership.try_join()
    farm.rows.away = False
    assert await farm.membership.try_join()
    assert farm.membership.node_id() == 1


async def test_a_lease_that_ran_out_is_told_once_there_is_one() -> None:
    membership, clock = Farm().membership, ManualClock()
    assert membership.lease_ran_out() is None
    membership.lease = LeaseKeeper(Leases(clock), clock, ClusterSettings(), NodeId(1), 4)
    await membership.lease.renew()
    assert membership.lease_ran_out() is None
    clock.advance(60.0)
    assert "new ones cannot start" in str(membership.lease_ran_out())
