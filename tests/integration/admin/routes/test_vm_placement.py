"""Why a VM runs where it runs."""

from qvdnode.admin.parts import AdminParts
from qvdnode.cluster.scheduler import Choice
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.model.ids import VmId
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.parts_for_tests import HERE
from tests.integration.admin.sample_farm import SampleFarm


async def test_a_vm_that_never_ran_is_judged_on_every_node(
    api: CheckedApi, parts: AdminParts, farm: SampleFarm
) -> None:
    await parts.nodes.join("node1", "boot", "10.0.0.1")
    await parts.nodes.join("node2", "boot", "10.0.0.2")
    gone = await parts.nodes.join("node3", "boot", "10.0.0.3")
    await parts.nodes.leave(gone.node_id, gone.epoch, guests_stay=False)
    seen = (await api.get(f"/vms/{farm.vm_id}/placement")).body
    assert (seen["last"], seen["home"], seen["node"]) == (None, None, None)
    assert seen["summary"] == "It does not run; node1 is the best node for a start now."
    one, two, three = seen["nodes"]
    assert one["takes"]
    assert one["score"] == sum(one["parts"].values())
    assert one["because"].startswith("node1 can take it, with ")
    assert two["because"] == "node2 cannot take it: nothing is known of its load."
    assert three["because"] == "node3 cannot take it: it does not serve."
    assert (two["takes"], two["score"], two["age_s"]) == (False, None, None)
    await api.call("GET", "/vms/999/placement", status=404)


async def test_a_start_is_explained_afterwards(
    api: CheckedApi, parts: AdminParts, farm: SampleFarm, database: Database
) -> None:
    seat = await parts.nodes.join("node1", "boot", "10.0.0.1")
    await api.call("POST", f"/vms/{farm.vm_id}/start?wait=true", status=200)
    await Ownership(database, seat).acquire(VmId(farm.vm_id))
    seen = (await api.get(f"/vms/{farm.vm_id}/placement")).body
    assert seen["summary"] == "It runs on node1."
    assert seen["home"] == "node1"
    last = seen["last"]
    assert (last["node"], last["chosen_by"]) == ("node1", "node1")
    assert last["reasons"][0].startswith("desk1 was chosen with ")


async def test_a_home_that_is_out_of_reach_is_told(
    api: CheckedApi, parts: AdminParts, farm: SampleFarm, database: Database
) -> None:
    await parts.nodes.join("node1", "boot", "10.0.0.1")
    away = await parts.nodes.join("node2", "boot", "10.0.0.2")
    vm_id = VmId(farm.vm_id)
    owner = Ownership(database, away)
    generation = await owner.acquire(vm_id)
    order = await parts.vms.order(vm_id)
    await owner.release(vm_id, generation, order.vm.state)
    await parts.nodes.leave(away.node_id, away.epoch, guests_stay=False)
    seen = (await api.get(f"/vms/{vm_id}/placement")).body
    assert seen["summary"] == (
        "It cannot start now: its user's home is on node2. node2 cannot take it: it does not serve."
    )
    assert "home is on another node" in seen["nodes"][0]["because"]
    await parts.placement.now.note(vm_id, Choice(HERE, ("It was free.",)))
    await parts.nodes.remove(away.node_id)
    seen = (await api.get(f"/vms/{vm_id}/placement")).body
    assert "node2, which was removed from the farm" in seen["summary"]
    assert seen["last"]["reasons"] == ["It was free."]
