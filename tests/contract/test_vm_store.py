"""What a VmStore promises, on the real Ownership over PostgreSQL and on the fake."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from qvdnode.db.flavours import Flavours
from qvdnode.db.images import Images
from qvdnode.db.nodes import NodeMembership, Nodes
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.db.tenants import Tenants
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.model.errors import Conflict, LeaseLost, NotFound
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.vm.ports import VmStore
from tests.fakes.orders import flavour_draft
from tests.fakes.vm_store import FakeFarm, FakeVmStore

LEASE_OVER_S = -1.0


@dataclass(frozen=True, slots=True)
class Farm:
    """Two nodes, one stopped VM, and a way to fence the first node."""

    ours: VmStore
    theirs: VmStore
    vm: VmId
    missing: VmId
    fence_ours: Callable[[], Awaitable[None]]
    lose_home: Callable[[], Awaitable[None]]
    """An administrator says that the home of the VM's user is on no node any more."""


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.postgres)])
def farm_database(request: pytest.FixtureRequest) -> Database | None:
    if request.param == "fake":
        return None
    database: Database = request.getfixturevalue("database")
    return database


@pytest.fixture
async def farm(farm_database: Database | None) -> Farm:
    return fake_farm() if farm_database is None else await postgres_farm(farm_database)


def fake_farm() -> Farm:
    rows = FakeFarm()
    rows.add(7)

    async def fence() -> None:
        rows.fenced.add(NodeId(1))

    async def lose_home() -> None:
        rows.vms[VmId(7)].home = None

    ours, theirs = FakeVmStore(rows, 1), FakeVmStore(rows, 2)
    return Farm(ours, theirs, VmId(7), VmId(999), fence, lose_home)


async def postgres_farm(db: Database) -> Farm:
    nodes = Nodes(db)
    tenant = await Tenants(db).by_name("default")
    user = await Users(db).create(tenant.id, "alice", "hash")
    image = await Images(db).create("icewm")
    flavour = await Flavours(db).create(flavour_draft(tenant.id, "small", image.id))
    vm = await Vms(db).create(user.id, flavour.id, "desk")
    seats: list[NodeMembership] = [await nodes.join(name, "boot", "::1") for name in ("one", "two")]

    async def fence() -> None:
        seat = seats[0]
        assert await nodes.renew(seat.node_id, seat.epoch, LEASE_OVER_S)
        await nodes.fence(seat.node_id, grace_s=0)

    ours, theirs = (Ownership(db, seat) for seat in seats)

    async def lose_home() -> None:
        await Users(db).set_home_node(user.id, None)

    return Farm(ours, theirs, vm.id, VmId(999), fence, lose_home)


async def test_an_acquired_vm_is_owned_and_preparing(farm: Farm) -> None:
    generation = await farm.ours.acquire(farm.vm)
    assert await farm.ours.owned() == [(farm.vm, generation, VmState.PREPARING)]
    assert await farm.theirs.owned() == []


async def test_only_one_node_gets_a_vm(farm: Farm) -> None:
    await farm.ours.acquire(farm.vm)
    with pytest.raises(Conflict):
        await farm.theirs.acquire(farm.vm)


async def test_a_vm_that_is_not_there_is_not_found(farm: Farm) -> None:
    with pytest.raises(NotFound):
        await farm.ours.acquire(farm.missing)


async def test_a_released_vm_can_be_acquired_by_another_node_with_a_higher_generation(
    farm: Farm,
) -> None:
    first = await farm.ours.acquire(farm.vm)
    await farm.ours.release(farm.vm, first, VmState.STOPPED)
    await farm.lose_home()
    second = await farm.theirs.acquire(farm.vm)
    assert second > first


async def test_a_vm_starts_only_where_its_users_home_is(farm: Farm) -> None:
    """Anywhere else the user would find an empty home."""
    generation = await farm.ours.acquire(farm.vm)
    await farm.ours.release(farm.vm, generation, VmState.STOPPED)
    with pytest.raises(Conflict, match="files of this desktop's user are on node"):
        await farm.theirs.acquire(farm.vm)
    assert await farm.ours.acquire(farm.vm) > generation


async def test_the_owner_may_acquire_again_after_a_release_that_was_lost(farm: Farm) -> None:
    first = await farm.ours.acquire(farm.vm)
    assert await farm.ours.acquire(farm.vm) == first + 1


async def test_a_state_is_recorded(farm: Farm) -> None:
    generation = await farm.ours.acquire(farm.vm)
    await farm.ours.record(farm.vm, generation, VmState.RUNNING)
    assert await farm.ours.owned() == [(farm.vm, generation, VmState.RUNNING)]


async def test_an_older_generation_records_and_releases_nothing(farm: Farm) -> None:
    old = await farm.ours.acquire(farm.vm)
    new = await farm.ours.acquire(farm.vm)
    with pytest.raises(LeaseLost):
        await farm.ours.record(farm.vm, old, VmState.RUNNING)
    with pytest.raises(LeaseLost):
        await farm.ours.release(farm.vm, old, VmState.STOPPED)
    assert await farm.ours.owned() == [(farm.vm, new, VmState.PREPARING)]


async def test_another_node_records_nothing_even_with_the_right_generation(farm: Farm) -> None:
    generation = await farm.ours.acquire(farm.vm)
    with pytest.raises(LeaseLost):
        await farm.theirs.record(farm.vm, generation, VmState.RUNNING)
    with pytest.raises(LeaseLost):
        await farm.theirs.release(farm.vm, generation, VmState.STOPPED)


async def test_a_release_may_be_repeated(farm: Farm) -> None:
    generation = await farm.ours.acquire(farm.vm)
    await farm.ours.release(farm.vm, generation, VmState.FAILED, error="no boot")
    await farm.ours.release(farm.vm, generation, VmState.FAILED, error="no boot")
    assert await farm.ours.owned() == []


async def test_nothing_is_recorded_after_a_release(farm: Farm) -> None:
    generation = await farm.ours.acquire(farm.vm)
    await farm.ours.release(farm.vm, generation, VmState.STOPPED)
    with pytest.raises(LeaseLost):
        await farm.ours.record(farm.vm, generation, VmState.RUNNING)


async def test_a_fenced_node_acquires_nothing_and_loses_what_it_had(farm: Farm) -> None:
    old = await farm.ours.acquire(farm.vm)
    await farm.fence_ours()
    with pytest.raises(LeaseLost):
        await farm.ours.acquire(farm.vm)
    with pytest.raises(Conflict):
        await farm.theirs.acquire(farm.vm)
    await farm.lose_home()
    taken = await farm.theirs.acquire(farm.vm)
    assert taken > old
    with pytest.raises(LeaseLost):
        await farm.ours.record(farm.vm, old, VmState.RUNNING)


async def test_generations_of_different_vms_have_nothing_to_do_with_each_other(farm: Farm) -> None:
    assert await farm.ours.acquire(farm.vm) == Generation(1)
