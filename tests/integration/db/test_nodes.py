"""Nodes and their leases in PostgreSQL."""

import random

import pytest

from qvdnode.db.migrate import migrate
from qvdnode.db.nodes import Nodes
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.db.vms import Vms
from qvdnode.model.errors import Conflict, NotFound, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.model.listing import Page
from qvdnode.model.vm_state import VmState
from tests.fakes.clock import ManualClock
from tests.integration.db.conftest import OwnServer
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres


async def test_each_join_has_a_new_epoch_in_the_same_place(database: Database) -> None:
    nodes = Nodes(database)
    first = await nodes.join("one", "boot", "::1")
    second = await nodes.join("one", "boot", "::2")
    assert (second.node_id, second.epoch) == (first.node_id, first.epoch + 1)
    node = await nodes.get(first.node_id)
    assert (node.address, node.alive, node.state) == ("::2", True, "up")
    assert (await nodes.list(Page())).items == (node,)


async def test_the_farm_offers_what_any_node_of_it_does(database: Database) -> None:
    nodes = Nodes(database)
    one = await nodes.join("one", "boot", "::1", ["lxc", "kvm"])
    two = await nodes.join("two", "boot", "::2", ["lxc"])
    assert await nodes.drivers() == {"lxc", "kvm"}
    await nodes.offer(one.node_id, one.epoch, ["lxc"])
    await nodes.offer(two.node_id, two.epoch - 1, ["docker"])
    assert (await nodes.get(one.node_id)).drivers == ("lxc",)
    assert await nodes.drivers() == {"lxc"}


async def test_only_the_newest_process_of_a_node_renews(database: Database) -> None:
    nodes = Nodes(database)
    old = await nodes.join("one", "boot", "::1")
    new = await nodes.join("one", "boot", "::1")
    assert not await nodes.renew(old.node_id, old.epoch)
    assert await nodes.renew(new.node_id, new.epoch)


async def test_a_node_whose_lease_runs_is_not_fenced(database: Database) -> None:
    nodes = Nodes(database)
    seat = await nodes.join("one", "boot", "::1")
    with pytest.raises(Conflict, match="one is not gone"):
        await nodes.fence(seat.node_id, grace_s=0)


async def test_nobody_is_given_up_just_after_the_database_was_away(own_server: OwnServer) -> None:
    """Nobody could renew a lease meanwhile, and all of them look dead."""
    clock = ManualClock()
    dsn = await own_server.embedded.start()
    database = await Database.open(dsn, own_server.settings, clock, random.Random(1))
    await migrate(database)
    nodes = Nodes(database)
    seat = await nodes.join("one", "boot", "::1")
    await nodes.renew(seat.node_id, seat.epoch, -60.0)
    await own_server.embedded.stop()
    with pytest.raises(Unavailable, match="is away"):
        await nodes.get(seat.node_id)
    await own_server.embedded.start()
    clock.advance(2.0)
    with pytest.raises(Unavailable, match="try again in 25 s"):
        await nodes.fence(seat.node_id)
    assert await nodes.renew(seat.node_id, seat.epoch, -60.0)
    clock.advance(26.0)
    await nodes.fence(seat.node_id)
    assert not await nodes.renew(seat.node_id, seat.epoch)
    await database.close()


async def test_a_fenced_node_neither_renews_nor_is_alive_until_it_joins_again(
    database: Database,
) -> None:
    nodes = Nodes(database)
    seat = await nodes.join("one", "boot", "::1")
    await nodes.renew(seat.node_id, seat.epoch, -5.0)
    with pytest.raises(Conflict, match="over for 60 s"):
        await nodes.fence(seat.node_id, grace_s=60)
    for _ in range(2):
        assert await nodes.fence(seat.node_id, grace_s=1) == 0
    assert not await nodes.renew(seat.node_id, seat.epoch)
    assert not (await nodes.get(seat.node_id)).alive
    again = await nodes.join("one", "boot", "::1")
    assert again.epoch > seat.epoch + 1
    assert (await nodes.get(seat.node_id)).alive


@pytest.mark.parametrize(("guests_stay", "state"), [(True, "up"), (False, "left")])
async def test_a_node_that_leaves_is_not_alive_and_keeps_what_it_runs(
    database: Database, guests_stay: bool, state: str
) -> None:
    vm = (await make_sample(database)).vm
    nodes = Nodes(database)
    seat, other = [await nodes.join(name, "boot", "::1") for name in ("one", "two")]
    await Ownership(database, seat).acquire(vm.id)
    await nodes.leave(seat.node_id, seat.epoch, guests_stay=guests_stay)
    left = await nodes.get(seat.node_id)
    assert (left.alive, left.state) == (False, state)
    with pytest.raises(Unavailable, match="which is away"):
        await Ownership(database, other).acquire(vm.id)
    assert (await nodes.join("one", "boot-2", "::1")).node_id == seat.node_id


async def test_a_name_is_held_against_another_host_while_the_lease_runs(
    database: Database,
) -> None:
    nodes = Nodes(database)
    seat = await nodes.join("one", "boot-1", "::1")
    with pytest.raises(Conflict, match="another \\[node\\] name"):
        await nodes.join("one", "boot-2", "::2")
    assert await nodes.renew(seat.node_id, seat.epoch)
    assert (await nodes.join("one", "boot-1", "::1")).epoch == seat.epoch + 1
    await nodes.renew(seat.node_id, seat.epoch + 1, -1.0)
    assert (await nodes.join("one", "boot-2", "::2")).rebooted


async def test_a_reboot_is_noticed_until_the_rows_are_set_right(database: Database) -> None:
    vm = (await make_sample(database)).vm
    nodes = Nodes(database)
    seat = await nodes.join("one", "boot-1", "::1")
    assert not seat.rebooted
    await Ownership(database, seat).acquire(vm.id)
    for _ in range(2):  # a node that dies between the two steps must notice it again
        await nodes.renew(seat.node_id, seat.epoch, -1.0)
        seat = await nodes.join("one", "boot-2", "::1")
        assert seat.rebooted
    assert await nodes.reset_after_reboot(seat, "boot-2") == 1
    found = await Vms(database).get(vm.id)
    assert (found.state, found.owner_node) == (VmState.STOPPED, None)
    assert not (await nodes.join("one", "boot-2", "::1")).rebooted


async def test_what_the_new_boot_has_claimed_is_none_of_the_old_ones(database: Database) -> None:
    vm = (await make_sample(database)).vm
    nodes = Nodes(database)
    seat = await nodes.join("one", "boot-1", "::1")
    await nodes.renew(seat.node_id, seat.epoch, -1.0)
    seat = await nodes.join("one", "boot-2", "::1")
    await Ownership(database, seat).acquire(vm.id)
    assert await nodes.reset_after_reboot(seat, "boot-2") == 0
    assert (await Vms(database).get(vm.id)).owner_node == seat.node_id


async def test_an_unknown_node_is_not_found(database: Database) -> None:
    for ask in (Nodes(database).get, Nodes(database).fence):
        with pytest.raises(NotFound):
            await ask(NodeId(999))
