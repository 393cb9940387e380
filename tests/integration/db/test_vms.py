"""VMs in PostgreSQL."""

import pytest

from qvdnode.db.flavours import Flavours
from qvdnode.db.images import Images
from qvdnode.db.nodes import Nodes
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.db.tenants import Tenants
from qvdnode.db.vms import Vms
from qvdnode.model.desktop import DesktopEntry
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.ids import FlavourId, TenantId, UserId, VmId
from qvdnode.model.listing import Page
from qvdnode.model.vm_state import VmState, WireState
from tests.fakes.orders import flavour_draft
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres


async def test_a_new_vm_is_stopped_and_nobodys(database: Database) -> None:
    vm = (await make_sample(database)).vm
    assert (vm.state, vm.owner_node, vm.generation) == (VmState.STOPPED, None, 0)
    assert (vm.user_login, vm.flavour, vm.is_application) == ("alice", "small", False)


async def test_a_name_is_taken_once_per_user(database: Database) -> None:
    sample = await make_sample(database)
    with pytest.raises(Conflict, match="VM of that name"):
        await Vms(database).create(sample.user.id, sample.flavour.id, "desk")


async def test_a_vm_wants_a_user_and_a_flavour_of_one_tenant(database: Database) -> None:
    sample = await make_sample(database)
    other = await Tenants(database).create("acme")
    foreign = await Flavours(database).create(flavour_draft(other.id, "x", sample.image.id))
    with pytest.raises(Conflict, match="tenant default and the flavour of tenant acme"):
        await Vms(database).create(sample.user.id, foreign.id, "other")
    with pytest.raises(NotFound, match="no user 999"):
        await Vms(database).create(UserId(999), sample.flavour.id, "other")
    with pytest.raises(NotFound, match="no flavour 999"):
        await Vms(database).create(sample.user.id, FlavourId(999), "other")


async def test_desktops_and_applications_are_listed_apart(database: Database) -> None:
    sample = await make_sample(database)
    editor = await Flavours(database).create(
        flavour_draft(sample.tenant.id, "editor", sample.image.id, application="gedit")
    )
    vms = Vms(database)
    app = await vms.create(sample.user.id, editor.id, "edit")
    await vms.set_blocked(app.id, blocked=True)
    assert await vms.desktops_of(sample.user.id, applications=False) == [
        DesktopEntry(sample.vm.id, "desk", WireState.STOPPED, False, False)
    ]
    assert await vms.desktops_of(sample.user.id, applications=True) == [
        DesktopEntry(app.id, "edit", WireState.STOPPED, True, True)
    ]
    assert await vms.desktops_of(UserId(999), applications=False) == []


async def test_an_order_has_all_that_a_start_needs(database: Database) -> None:
    sample = await make_sample(database)
    with pytest.raises(Conflict, match="no version yet"):
        await Vms(database).order(sample.vm.id)
    images = Images(database)
    await images.set_head(sample.image.id, await images.add_version(sample.image.id, size_bytes=1))
    order = await Vms(database).order(sample.vm.id)
    assert (order.vm, order.user, order.flavour) == (sample.vm, sample.user, sample.flavour)
    assert order.image_version == 1


async def test_lists_are_filtered(database: Database) -> None:
    sample = await make_sample(database)
    vms = Vms(database)
    second = await vms.create(sample.user.id, sample.flavour.id, "second")
    assert (await vms.list(Page())).items == (sample.vm, second)
    assert (await vms.list(Page(), user_id=sample.user.id)).items == (sample.vm, second)
    assert (await vms.list(Page(), tenant_id=TenantId(999))).items == ()
    assert (await vms.list(Page(), state=VmState.RUNNING)).items == ()
    assert (await vms.list(Page(limit=1), state=VmState.STOPPED)).next_after == sample.vm.id


async def test_a_vm_that_runs_stays_and_a_stopped_one_goes(database: Database) -> None:
    vm = (await make_sample(database)).vm
    ownership = Ownership(database, await Nodes(database).join("one", "boot", "::1"))
    generation = await ownership.acquire(vm.id)
    with pytest.raises(Conflict, match="preparing"):
        await Vms(database).delete(vm.id)
    await ownership.release(vm.id, generation, VmState.FAILED, error="it did not boot")
    assert (await Vms(database).get(vm.id)).error == "it did not boot"
    await Vms(database).delete(vm.id)
    for attempt in (Vms(database).get(vm.id), Vms(database).order(vm.id)):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(NotFound):
        await Vms(database).delete(VmId(vm.id))
