"""Why VMs were last placed where they were."""

from qvdnode.db.nodes import Nodes
from qvdnode.db.placements import Placements
from qvdnode.db.pool import Database
from qvdnode.db.vms import Vms
from qvdnode.model.ids import VmId
from tests.integration.db.sample import make_sample


async def test_the_last_placement_of_a_vm_is_told(database: Database) -> None:
    sample, nodes, placements = await make_sample(database), Nodes(database), Placements(database)
    one = (await nodes.join("desk1", "boot", "10.0.0.1")).node_id
    two = (await nodes.join("desk2", "boot", "10.0.0.2")).node_id
    vm_id = sample.vm.id
    assert await placements.last(vm_id) is None
    await placements.keep(vm_id, one, one, ["desk1 was chosen."])
    first = await placements.last(vm_id)
    await placements.keep(vm_id, two, one, ["desk2 was chosen.", "desk1 was full."])
    last = await placements.last(vm_id)
    assert first is not None
    assert last is not None
    assert (last.node, last.chosen_by) == ("desk2", "desk1")
    assert list(last.reasons) == ["desk2 was chosen.", "desk1 was full."]
    assert last.placed_at > first.placed_at


async def test_a_vm_that_is_gone_leaves_nothing(database: Database) -> None:
    sample, placements = await make_sample(database), Placements(database)
    node = (await Nodes(database).join("desk1", "boot", "10.0.0.1")).node_id
    await placements.keep(VmId(999), node, node, ["desk1 was chosen."])
    await placements.keep(sample.vm.id, node, node, ["desk1 was chosen."])
    await Vms(database).delete(sample.vm.id)
    assert await placements.last(sample.vm.id) is None
