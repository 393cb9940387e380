"""A node takes its place in a real database, and the rest of the node hears of it last."""

import asyncio

import pytest

from qvdnode.cluster.settings import ClusterSettings
from qvdnode.daemon.joining import Host, Joining
from qvdnode.daemon.membership import Membership
from qvdnode.db.nodes import NodeMembership, NodePorts, Nodes
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.db.vms import Vms
from qvdnode.model.errors import Conflict, Forbidden, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.model.listing import Page
from qvdnode.model.vm_state import VmState
from tests.fakes.clock import ManualClock
from tests.integration.db.sample import make_sample
from tests.waiting import until

pytestmark = pytest.mark.postgres


class NoFarm:
    """A host that needs no certificate."""

    def node_id(self) -> NodeId | None:
        """As daemon.joining.Farm."""
        return None

    async def ensure_farm(self) -> None:
        """As daemon.joining.Farm."""

    async def enter(self, seat: NodeMembership) -> None:
        """As daemon.joining.Farm."""


class Joiner:
    """A node that joins, with a step on the way that the test holds."""

    def __init__(self, database: Database, *, boot_id: str = "boot-1") -> None:
        self.clock = ManualClock()
        self.membership = Membership(lambda seat: Ownership(database, seat))
        self.at_step = asyncio.Event()
        self.step_done = asyncio.Event()
        self.away = False
        self.joining = Joining(
            Host("one", "::1", NodePorts(8445, 8446), boot_id, lambda: {"lxc", "kvm"}), database,
            self.membership,
            self.clock, ClusterSettings(), farm=NoFarm(), prepare=self._step,
        )  # fmt: skip

    async def _step(self, node_id: NodeId) -> None:
        if self.away:
            raise Unavailable("The database is away.")
        self.at_step.set()
        await self.step_done.wait()

    async def join(self) -> bool:
        self.step_done.set()
        return await self.joining.attempt() is not None


async def test_nothing_can_be_owned_before_the_join_is_whole(database: Database) -> None:
    """A client that connects meanwhile must not start what the next step would end."""
    vm = (await make_sample(database)).vm
    node = Joiner(database)
    attempt = asyncio.ensure_future(node.joining.attempt())
    await node.at_step.wait()
    assert (await Nodes(database).list(Page())).items[0].alive
    with pytest.raises(Unavailable):
        await node.membership.acquire(vm.id)
    assert node.membership.node_id() is None
    node.step_done.set()
    assert await attempt is node.membership.lease
    assert (await Nodes(database).list(Page())).items[0].drivers == ("kvm", "lxc")
    assert node.membership.lease_problem() is None
    await node.membership.acquire(vm.id)


async def test_a_join_that_breaks_off_is_no_join_and_can_be_tried_again(
    database: Database,
) -> None:
    node = Joiner(database)
    node.away = True
    assert not await node.join()
    assert node.membership.node_id() is None
    assert "new ones cannot start" in str(node.membership.lease_problem())
    node.away = False
    assert await node.join()
    assert node.membership.node_id() is not None


async def test_the_same_host_comes_back_at_once(database: Database) -> None:
    assert await Joiner(database).join()
    assert await Joiner(database).join()


async def test_after_a_reboot_the_rest_of_the_lease_is_waited_for(database: Database) -> None:
    vm = (await make_sample(database)).vm
    before = Joiner(database)
    assert await before.join()
    await before.membership.acquire(vm.id)
    node = Joiner(database, boot_id="boot-2")
    attempt = asyncio.ensure_future(node.join())
    await until(lambda: node.clock.sleepers > 0)
    assert not attempt.done()
    await database.execute("UPDATE node SET lease_until = clock_timestamp()")
    node.clock.advance(1.0)
    assert await attempt
    assert (await Vms(database).get(vm.id)).state is VmState.STOPPED


async def test_a_host_that_takes_the_name_of_another_is_refused(database: Database) -> None:
    vm = (await make_sample(database)).vm
    here = Joiner(database)
    assert await here.join()
    await here.membership.acquire(vm.id)
    other = Joiner(database, boot_id="boot-2")
    attempt = asyncio.ensure_future(other.join())
    lease = here.membership.lease
    assert lease is not None
    while not attempt.done():
        await lease.renew()
        await until(lambda: other.clock.sleepers > 0 or attempt.done())
        other.clock.advance(5.0)
    with pytest.raises(Conflict, match=r"another \[node\] name"):
        await attempt
    assert (await Vms(database).get(vm.id)).owner_node == here.membership.node_id()


async def test_a_node_whose_row_was_lost_makes_it_again_with_its_number(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """As when somebody emptied the table. Nobody else gets the number, and no epoch comes twice."""
    nodes = Nodes(database)
    first = await nodes.join("one", "boot", "::1")
    assert await nodes.renew(first.node_id, first.epoch)
    await database.execute("TRUNCATE node RESTART IDENTITY CASCADE")
    assert not await nodes.renew(first.node_id, first.epoch), "the process ends, and starts again"
    again = await nodes.join("one", "boot", "::1", node_id=NodeId(7))
    assert again.node_id == 7
    assert "node_row_lost" in caplog.text
    assert await nodes.renew(again.node_id, again.epoch)
    other = await nodes.join("two", "boot", "::2")
    assert other.node_id > again.node_id
    with pytest.raises(Conflict):  # the name is another host's by now
        await nodes.join("two", "boot-2", "::3", node_id=NodeId(9))


async def test_a_node_that_was_removed_does_not_make_its_row_again(database: Database) -> None:
    nodes = Nodes(database)
    seat = await nodes.join("one", "boot", "::1")
    await nodes.leave(seat.node_id, seat.epoch, guests_stay=False)
    await nodes.remove(seat.node_id)
    with pytest.raises(Forbidden, match="was removed"):
        await nodes.join("one", "boot", "::1", node_id=seat.node_id)
