"""A node with two drivers: each VM runs with that of its flavour, and is adopted with it."""

from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import NodeFull
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import DriverCheck, GuestSpec, HostNeed
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, VmState
from tests.fakes.memory_driver import MemoryDriver, MemoryHost
from tests.fakes.orders import FLAVOUR, desktop_order
from tests.unit.vm.fleet_world import World, settle

LXC, DOCKER = VmId(1), VmId(2)


def order(vm_id: int, driver: str) -> DesktopOrder:
    return desktop_order(vm_id, user_id=vm_id, flavour=replace(FLAVOUR, driver=driver))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.farm.add(1, 2)
    # Its own guests, and the run folders that all drivers share.
    world.drivers["docker"] = MemoryDriver(MemoryHost(folders=world.host.folders))
    return world


def docker(world: World) -> MemoryHost:
    driver = world.drivers["docker"]
    assert isinstance(driver, MemoryDriver)
    return driver.host


async def start_both(world: World) -> None:
    for vm_id, driver in ((LXC, "lxc"), (DOCKER, "docker")):
        client = world.client()
        await world.fleet.attach(order(vm_id, driver), DisplayParams(), client.viewer)


async def test_each_flavour_runs_with_its_driver_at_the_same_time(world: World) -> None:
    async with world.node() as fleet:
        await start_both(world)
        shown = {status.order.vm.id: status.driver for status in fleet.guests()}
        assert shown == {LXC: "lxc", DOCKER: "docker"}
        assert (len(world.host.guests), len(docker(world).guests)) == (1, 1)
        memory = await fleet.memory(DOCKER)
        assert memory is not None
        assert memory.limit_bytes > 0
        await fleet.stop(DOCKER)
        assert (len(world.host.guests), len(docker(world).guests)) == (1, 0)
        assert world.state(LXC) is VmState.RUNNING


class Balloons(MemoryDriver):
    """A driver whose guests have one."""

    async def settle_balloon(self, spec: GuestSpec, need: HostNeed) -> int:
        return 40 if need is HostNeed.SQUEEZED else 0


async def test_guests_are_asked_for_memory_in_the_way_that_their_driver_has(world: World) -> None:
    world.drivers["docker"] = Balloons(MemoryHost(folders=world.host.folders))
    async with world.node() as fleet:
        assert fleet.control_group(LXC) is None
        assert await fleet.settle_balloon(DOCKER, HostNeed.SQUEEZED) is None
        await start_both(world)
        assert fleet.control_group(LXC) == "qvd-1"
        assert await fleet.settle_balloon(DOCKER, HostNeed.SQUEEZED) == 40
        assert await fleet.settle_balloon(LXC, HostNeed.SQUEEZED) is None
        await fleet.stop(DOCKER)
        assert await fleet.settle_balloon(DOCKER, HostNeed.SQUEEZED) is None


async def test_a_guest_is_adopted_with_the_driver_that_runs_it(world: World) -> None:
    async with world.node():
        await start_both(world)
    async with world.node() as fleet:
        report = await fleet.adopt()
        await settle()
        assert sorted(report.adopted) == [LXC, DOCKER]
        assert report.swept == ()
        # The flavour has got another driver since: that counts from the next start on.
        client = world.client()
        await fleet.attach(order(DOCKER, "lxc"), DisplayParams(), client.viewer)
        status = await fleet.status(DOCKER)
        assert status is not None
        assert (status.driver, status.display) == ("docker", DisplayState.LISTENING)
        await fleet.stop(DOCKER)
        assert not docker(world).guests
        await fleet.start(order(DOCKER, "lxc"))
        assert len(world.host.guests) == 2


async def test_a_driver_that_is_missing_or_broken_starts_nothing(world: World) -> None:
    docker(world).check = DriverCheck(problem="the engine does not answer")
    async with world.node() as fleet:
        await fleet._dependencies.drivers.check()
        with pytest.raises(NodeFull, match="docker of this node does not work: the engine"):
            await fleet.start(order(DOCKER, "docker"))
        with pytest.raises(NodeFull, match="no driver kvm; it has docker, lxc"):
            await fleet.start(order(DOCKER, "kvm"))
        await settle()
        assert world.farm.vms[DOCKER].owner is None
        assert world.leaks() == []


async def test_a_guest_of_a_driver_that_this_node_lacks_stays_until_it_is_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.node():
        await start_both(world)
    lost = world.drivers.pop("docker")
    async with world.node() as fleet:
        report = await fleet.adopt()
        await settle()
        assert sorted(report.adopted) == [LXC, DOCKER]
        assert report.seconds == 0.0
        assert world.state(DOCKER) is VmState.RUNNING
        assumed = [r for r in caplog.records if r.getMessage() == "guest_assumed_alive"]
        assert [vars(record)["vm"] for record in assumed] == [DOCKER]
    world.drivers["docker"] = lost
    async with world.node() as fleet:
        await fleet.adopt()
        await fleet.stop(DOCKER)
        await settle()
        assert not docker(world).guests


async def test_what_makes_a_drivers_guests_worse_is_told_with_each_of_them(world: World) -> None:
    docker(world).check = DriverCheck(warning="its machines are slow")
    async with world.node() as fleet:
        await world.fleet._dependencies.drivers.check()
        await start_both(world)
        told = {status.order.vm.id: status.warning for status in fleet.guests()}
        assert told == {LXC: "", DOCKER: "its machines are slow"}


class CostlyDriver(MemoryDriver):
    """One whose guests need memory beside their own."""

    def overhead_mib(self) -> int:
        return 120


async def test_what_a_guest_costs_beside_its_memory_is_promised_too(world: World) -> None:
    world.drivers["docker"] = CostlyDriver(MemoryHost(folders=world.host.folders))
    async with world.node() as fleet:
        await start_both(world)
        assert fleet.load().promised_mib == 2 * FLAVOUR.memory_mib + 120
