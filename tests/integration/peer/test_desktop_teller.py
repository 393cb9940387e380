"""Nodes tell each other which desktops they run, over real connections."""

from pathlib import Path

from qvdnode.model.ids import TenantId, UserId, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.peer.desktop_teller import DesktopTeller
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from tests.fakes.orders import desktop_order
from tests.integration.peer.two_nodes import OWNER, VM, Farm, Owner, a_farm
from tests.waiting import until

ALICE, TENANT = UserId(5), TenantId(1)
OTHER = VmId(8)


def tell(farm: Farm, owner: Owner, tasks: Supervisor) -> None:
    """Have the node that runs desktops tell the other."""
    teller = DesktopTeller(farm.fleet.statuses, owner.service.links, SystemClock())
    _ = tasks.essential("teller", teller.run())


async def knows(farm: Farm, *vms: VmId) -> None:
    """Wait until the node that asks knows that these run there, and no others."""
    expected = dict.fromkeys(vms, OWNER)
    await until(lambda: farm.links.desktops_of(ALICE, TENANT) == expected, what=str(vms))


async def test_what_runs_on_a_node_is_known_on_the_others(tmp_path: Path) -> None:
    """At first, after each change, and when the node comes back as another process."""
    async with a_farm(tmp_path) as farm:
        farm.fleet.put(desktop_order(VM, user_id=ALICE), VmState.RUNNING)
        async with farm.owner() as owner, Supervisor("owner") as tasks:
            tell(farm, owner, tasks)
            await knows(farm, VM)
            assert farm.links.node_of(VM) == OWNER
            assert farm.links.node_of(OTHER) is None
            assert farm.links.users() == {ALICE}
            assert farm.links.desktops_of(UserId(6), TENANT) == {}
            farm.fleet.put(desktop_order(OTHER, user_id=ALICE), VmState.RUNNING)
            await knows(farm, VM, OTHER)
            await farm.fleet.stop(OTHER)
            await knows(farm, VM)
        assert farm.links.node_of(VM) == OWNER  # it is away, and its desktops are not elsewhere
        await farm.fleet.stop(VM)
        farm.fleet.put(desktop_order(OTHER, user_id=ALICE), VmState.RUNNING)
        async with farm.owner() as owner, Supervisor("owner") as tasks:
            tell(farm, owner, tasks)
            await knows(farm, OTHER)


async def test_a_connection_that_broke_is_told_all_anew(tmp_path: Path) -> None:
    async with a_farm(tmp_path) as farm, farm.owner() as owner, Supervisor("owner") as tasks:
        farm.fleet.put(desktop_order(VM, user_id=ALICE), VmState.RUNNING)
        tell(farm, owner, tasks)
        await knows(farm, VM)
        await farm.break_link()
        await farm.fleet.stop(VM)
        farm.fleet.put(desktop_order(OTHER, user_id=ALICE), VmState.RUNNING)
        await knows(farm, OTHER)
