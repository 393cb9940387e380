"""VMs of a node whose lease is over, as another node may take them."""

from dataclasses import replace

import pytest

from qvdnode.db.flavours import Flavours
from qvdnode.db.nodes import FENCE_GRACE_S, LEASE_TTL_S, NodeMembership, Nodes
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.db.takeovers import Takeovers
from qvdnode.db.vms import Vms
from qvdnode.model.errors import Conflict, LeaseLost
from qvdnode.model.farm import Takeover
from qvdnode.model.ids import Generation
from qvdnode.model.vm_state import VmState
from tests.fakes.orders import flavour_draft
from tests.integration.db.sample import Sample, make_sample

OVER_S = LEASE_TTL_S + FENCE_GRACE_S + 1


class World:
    """Two nodes with the same homes; the first runs the VM."""

    sample: Sample
    one: NodeMembership
    two: NodeMembership
    generation: Generation

    def __init__(self, database: Database) -> None:
        self.database = database
        self.nodes, self.takeovers = Nodes(database), Takeovers(database)

    async def make(self, takeover: Takeover = Takeover.AT_ONCE) -> "World":
        self.sample = await make_sample(self.database)
        draft = flavour_draft(self.sample.tenant.id, "small", self.sample.image.id)
        wanted = replace(draft, takeover=takeover)
        await Flavours(self.database).update(self.sample.flavour.id, wanted)
        self.one = await self.nodes.join("one", "boot", "10.0.0.1")
        self.two = await self.nodes.join("two", "boot", "10.0.0.2")
        for node in (self.one, self.two):
            await self.nodes.set_homes(node.node_id, "mark")
        self.generation = await Ownership(self.database, self.one).acquire(self.sample.vm.id)
        return self

    async def lose(self, over_s: float = OVER_S) -> None:
        """The first node's lease has been over for so long."""
        await self.nodes.renew(self.one.node_id, self.one.epoch, -over_s)

    async def take(self) -> bool:
        return await self.takeovers.take(self.sample.vm.id, self.one.node_id)


async def test_a_desktop_goes_over_once_its_node_was_given_up(database: Database) -> None:
    world = await World(database).make()
    vm_id, lost = world.sample.vm.id, world.one.node_id
    await world.lose()
    assert await world.takeovers.lost() == [(vm_id, lost)]
    assert not await world.take()  # it was not given up yet
    assert await world.takeovers.give_up(lost) == 0
    assert await world.takeovers.give_up(lost) == 0
    assert await world.take()
    assert not await world.take()
    assert await world.takeovers.lost() == []
    vm = await Vms(database).get(vm_id)
    assert (vm.owner_node, vm.state, vm.error) == (None, VmState.STOPPED, "Its node one was lost.")
    newer = await Ownership(database, world.two).acquire(vm_id)
    assert newer > world.generation


async def test_the_lost_nodes_late_writes_are_refused(database: Database) -> None:
    world = await World(database).make()
    await world.lose()
    await world.takeovers.give_up(world.one.node_id)
    await world.take()
    late = Ownership(database, world.one)
    with pytest.raises(LeaseLost):
        await late.record(world.sample.vm.id, world.generation, VmState.RUNNING)
    with pytest.raises(LeaseLost):
        await late.acquire(world.sample.vm.id)
    assert not await world.nodes.renew(world.one.node_id, world.one.epoch)


async def test_a_lease_that_is_not_over_for_long_is_waited_for(database: Database) -> None:
    world = await World(database).make()
    assert await world.takeovers.give_up(world.one.node_id) > FENCE_GRACE_S
    await world.lose(FENCE_GRACE_S - 5)
    assert 0 < await world.takeovers.give_up(world.one.node_id) <= 5
    assert await world.takeovers.lost() == []
    assert not await world.take()
    assert (await world.nodes.get(world.one.node_id)).state == "up"


@pytest.mark.parametrize("change", ["never", "own homes", "nobody lives", "back"])
async def test_what_must_not_be_taken_stays(database: Database, change: str) -> None:
    world = await World(database).make(Takeover.NEVER if change == "never" else Takeover.AT_CONNECT)
    one, two = world.one, world.two
    await world.lose()
    assert await world.takeovers.lost() == []
    await world.takeovers.give_up(one.node_id)
    if change == "own homes":
        await world.nodes.set_homes(one.node_id, "another")
    elif change == "nobody lives":
        await world.nodes.renew(two.node_id, two.epoch, -1)
    elif change == "back":
        await world.nodes.join("one", "boot", "10.0.0.1")
    assert not await world.take()
    assert (await Vms(database).get(world.sample.vm.id)).owner_node == one.node_id


async def test_a_home_that_others_do_not_have_keeps_its_desktop(database: Database) -> None:
    world = await World(database).make()
    await Ownership(database, world.one).release(
        world.sample.vm.id, world.generation, VmState.STOPPED
    )
    await world.nodes.set_homes(world.two.node_id, "")
    with pytest.raises(Conflict, match="files of this desktop's user are on node one"):
        await Ownership(database, world.two).acquire(world.sample.vm.id)
    await world.nodes.set_homes(world.two.node_id, "mark")
    await Ownership(database, world.two).acquire(world.sample.vm.id)


async def test_nobody_is_given_up_just_after_the_database_was_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await World(database).make()
    await world.lose()
    monkeypatch.setattr(type(database), "back_for_s", property(lambda _: 5.0))
    left_s = await world.takeovers.give_up(world.one.node_id)
    assert left_s == LEASE_TTL_S + FENCE_GRACE_S - 5.0
    assert not await world.take()
