"""A node's place in the farm, with and without the database."""

import pytest

from qvdnode.cluster.lease_keeper import LeaseKeeper
from qvdnode.cluster.settings import ClusterSettings
from qvdnode.daemon.membership import Membership
from qvdnode.db.nodes import NodeMembership
from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.vm_state import VmState
from tests.fakes.clock import ManualClock
from tests.fakes.vm_store import FakeFarm, FakeVmStore
from tests.unit.cluster.test_lease_keeper import Leases

SEAT = NodeMembership(NodeId(1), epoch=4)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lease(clock: ManualClock) -> LeaseKeeper:
    return LeaseKeeper(Leases(clock), clock, ClusterSettings(), SEAT.node_id, SEAT.epoch)


@pytest.fixture
def membership() -> Membership:
    farm = FakeFarm()
    farm.add(7)
    return Membership(lambda _seat: FakeVmStore(farm))


async def test_a_node_that_has_joined_owns(membership: Membership, lease: LeaseKeeper) -> None:
    membership.enter(SEAT, lease)
    assert membership.lease is lease
    assert membership.node_id() == 1
    generation = await membership.acquire(VmId(7))
    await membership.record(VmId(7), generation, VmState.RUNNING)
    assert await membership.owned() == [(7, generation, VmState.RUNNING)]
    await membership.release(VmId(7), generation, VmState.STOPPED)
    assert await membership.owned() == []


async def test_before_it_has_joined_a_node_starts_nothing_and_says_why(
    membership: Membership,
) -> None:
    assert membership.lease is None
    assert membership.node_id() is None
    assert "new ones cannot start" in str(membership.lease_problem())
    with pytest.raises(Unavailable, match="running desktops go on"):
        await membership.acquire(VmId(7))
    with pytest.raises(Unavailable):
        await membership.owned()


async def test_a_lease_that_ran_out_is_told(
    membership: Membership, lease: LeaseKeeper, clock: ManualClock
) -> None:
    await lease.renew()
    membership.enter(SEAT, lease)
    assert membership.lease_problem() is None
    clock.advance(60.0)
    assert "new ones cannot start" in str(membership.lease_problem())
