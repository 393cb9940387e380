"""What the fleet relies on of any confinement, asked of the real one and of the fake."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

import pytest

from qvdnode.model.errors import Conflict, NodeFull
from qvdnode.model.ids import VmId
from qvdnode.vm.ports import Confinement
from tests.fakes.confinement import FakeConfinement
from tests.fixtures_netns import Lab, bare_lab, with_settings

__all__ = ["bare_lab"]

ONE, TWO = VmId(1), VmId(2)
SUBNET = IPv4Network("10.99.0.0/29")
CAPACITY = 5


@dataclass(frozen=True)
class Subject:
    """One implementation, and a later process of the same node."""

    first: Confinement
    later: Confinement


@pytest.fixture(params=["fake", pytest.param("nftables", marks=pytest.mark.nftables)])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "fake":
        yield Subject(FakeConfinement(SUBNET), FakeConfinement(SUBNET))
        return
    lab: Lab = request.getfixturevalue("bare_lab")
    with_settings(lab, subnet=SUBNET)
    await lab.begin()
    first = lab.confinement
    lab.rebuild()
    yield Subject(first, lab.confinement)


async def test_a_vm_has_one_port_until_it_is_released(subject: Subject) -> None:
    port = await subject.first.reserve(ONE, egress=True)
    assert await subject.first.reserve(ONE, egress=True) == port
    assert port.gateway == IPv4Address("10.99.0.1")
    assert port.address.network == SUBNET
    assert port.egress


async def test_ports_of_two_vms_have_nothing_in_common(subject: Subject) -> None:
    one = await subject.first.reserve(ONE, egress=True)
    two = await subject.first.reserve(TWO, egress=True)
    assert one.link != two.link
    assert one.mac != two.mac
    assert one.address != two.address


async def test_egress_is_that_of_the_latest_reservation(subject: Subject) -> None:
    await subject.first.reserve(ONE, egress=True)
    assert not (await subject.first.reserve(ONE, egress=False)).egress


async def test_every_step_may_be_repeated(subject: Subject) -> None:
    port = await subject.first.reserve(ONE, egress=True)
    for _ in range(2):
        await subject.first.confine(port)
    for _ in range(2):
        await subject.first.release(ONE, port)


async def test_release_without_confine_is_fine(subject: Subject) -> None:
    port = await subject.first.reserve(ONE, egress=True)
    await subject.first.release(ONE, port)


async def test_addresses_run_out_and_come_back(subject: Subject) -> None:
    ports = [
        await subject.first.reserve(VmId(number), egress=True) for number in range(1, CAPACITY + 1)
    ]
    assert len({port.address for port in ports}) == CAPACITY
    with pytest.raises(NodeFull):
        await subject.first.reserve(VmId(CAPACITY + 1), egress=True)
    await subject.first.release(ONE, ports[0])
    late = await subject.first.reserve(VmId(CAPACITY + 1), egress=True)
    assert late.address == ports[0].address


async def test_a_claimed_port_stays_its_vms(subject: Subject) -> None:
    port = await subject.first.reserve(ONE, egress=True)
    await subject.first.confine(port)
    await subject.later.adopt(ONE, port)
    await subject.later.reconcile([port])
    assert await subject.later.reserve(ONE, egress=True) == port
    rival = await subject.later.reserve(VmId(ONE + CAPACITY), egress=True)
    assert rival.address != port.address


async def test_an_address_cannot_be_claimed_twice(subject: Subject) -> None:
    port = await subject.first.reserve(ONE, egress=True)
    await subject.later.adopt(ONE, port)
    with pytest.raises(Conflict):
        await subject.later.adopt(TWO, port)


async def test_reconcile_with_nothing_is_a_fresh_start(subject: Subject) -> None:
    assert list(await subject.later.reconcile([])) == []
