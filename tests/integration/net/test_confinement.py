"""Rules come in time, go away, and are put right after a restart or a foreign flush."""

import asyncio
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from qvdnode.host import links
from qvdnode.model.errors import HostFailed, NodeFull
from qvdnode.model.ids import VmId
from qvdnode.net.core.expressions import Json
from qvdnode.net.nft import MissingRules, Nft
from tests.fixtures_netns import Lab, ip_batch, with_settings
from tests.integration.net.sockets import Dialling, received, tcp_listener
from tests.integration.net.test_bridge import ruleset
from tests.waiting import until

pytestmark = pytest.mark.nftables


def rules_about(lab: Lab, link: str) -> bool:
    """Whether the rule set says anything about a link."""
    return f'"{link}"' in ruleset(lab)


async def test_release_leaves_no_link_and_no_rule(lab: Lab) -> None:
    before = ruleset(lab)
    guest = await lab.plug(1)
    assert rules_about(lab, guest.port.link)
    for _ in range(2):
        await lab.confinement.release(guest.vm_id, guest.port)
        assert ruleset(lab) == before
        assert await links.find_link(guest.port.link) is None


async def test_rules_do_not_grow_with_guests(lab: Lab) -> None:
    def rules() -> list[str]:
        return [line for line in ruleset(lab).splitlines() if "counter name" in line]

    await lab.confinement.confine(await lab.confinement.reserve(VmId(1), egress=True))
    before = rules()
    for number in range(2, 60):
        await lab.confinement.confine(await lab.confinement.reserve(VmId(number), egress=True))
    assert rules() == before


async def test_confine_again_with_other_egress_replaces_what_stood(lab: Lab) -> None:
    with_egress = await lab.confinement.reserve(VmId(1), egress=True)
    await lab.confinement.confine(with_egress)
    once = ruleset(lab)
    without = await lab.confinement.reserve(VmId(1), egress=False)
    assert without == replace(with_egress, egress=False)
    await lab.confinement.confine(without)
    assert ruleset(lab) != once
    await lab.confinement.confine(with_egress)
    assert ruleset(lab) == once


async def test_confine_takes_away_what_the_link_stood_for_before(lab: Lab) -> None:
    old = await lab.confinement.reserve(VmId(1), egress=True)
    await lab.confinement.confine(old)
    new = replace(old, mac="02:00:00:00:00:77")
    await lab.confinement.confine(new)
    assert old.mac not in ruleset(lab)
    assert new.mac in ruleset(lab)


async def test_many_guests_at_once_are_all_confined(lab: Lab) -> None:
    ports = [await lab.confinement.reserve(VmId(number), egress=True) for number in range(1, 31)]
    await asyncio.gather(*(lab.confinement.confine(port) for port in ports))
    assert all(rules_about(lab, port.link) for port in ports)


async def test_foreign_flush_is_noticed_and_mended(lab: Lab) -> None:
    guest = await lab.plug(1)
    before = ruleset(lab)
    assert not await lab.confinement.check()
    flush(lab)
    assert await lab.confinement.check()
    assert ruleset(lab) == before
    assert rules_about(lab, guest.port.link)


async def test_a_network_that_the_host_joins_later_is_denied_too(lab: Lab) -> None:
    await lab.plug(1)
    assert not await lab.confinement.check()
    ip_batch("route add 172.16.5.0/24 via 198.51.100.9")
    assert await lab.confinement.check()
    assert "172.16.5.0/24" in ruleset(lab)
    assert not await lab.confinement.check()


async def test_a_network_that_was_taken_down_stays_so(lab: Lab) -> None:
    await lab.network.down()
    before = ruleset(lab)
    assert not await lab.confinement.check()
    assert ruleset(lab) == before


async def test_rules_of_an_earlier_process_stay_until_they_are_reconciled(lab: Lab) -> None:
    guest = await lab.plug(1)
    before = ruleset(lab)
    lab.rebuild()
    assert not await lab.confinement.check()
    assert ruleset(lab) == before
    assert rules_about(lab, guest.port.link)


async def test_next_guest_after_a_foreign_flush_finds_all_rules(lab: Lab) -> None:
    first = await lab.plug(1)
    flush(lab)
    second = await lab.plug(2)
    assert rules_about(lab, first.port.link)
    assert rules_about(lab, second.port.link)


async def test_restart_keeps_a_guests_connection_and_removes_what_nobody_owns(lab: Lab) -> None:
    guest, stale = await lab.plug(1), await lab.plug(2)
    ip_batch("link add qvStranger type veth peer name strange0")
    address = guest.port.address.ip
    with tcp_listener(guest, 4100) as display, Dialling(lab.node, address, 4100) as dialled:
        await until(dialled.connected)
        lab.rebuild()
        await lab.network.up()
        await lab.confinement.adopt(guest.vm_id, guest.port)
        assert await lab.confinement.reconcile([guest.port]) == [stale.port.link]
        served, _ = display.accept()
        with served:
            served.send(b"still here")
            served.setblocking(False)
            await until(lambda: received(dialled.socket))
    assert not rules_about(lab, stale.port.link)
    assert await links.find_link("qvStranger") is not None
    # The address of the guest that runs is not given to another.
    rival = VmId(guest.vm_id + lab.settings.subnet.num_addresses - 3)
    other = await lab.confinement.reserve(rival, egress=True)
    assert other.address != guest.port.address


class RefusingNft(Nft):
    """A kernel that takes no change for a while."""

    refuses = False

    async def change(self, commands: Sequence[Json]) -> None:
        if self.refuses:
            raise HostFailed("the kernel refused a change of the packet rules: busy")
        await super().change(commands)


async def test_rules_that_a_start_could_not_make_are_made_by_a_later_check(lab: Lab) -> None:
    guest, stale = await lab.plug(1), await lab.plug(2)
    await lab.lift_rules()
    lab.nft = nft = RefusingNft()
    lab.rebuild()
    await lab.confinement.adopt(guest.vm_id, guest.port)
    nft.refuses = True
    with pytest.raises(HostFailed):
        await lab.confinement.reconcile([guest.port])
    with pytest.raises(HostFailed):
        await lab.confinement.check()
    nft.refuses = False
    assert await lab.confinement.check()
    assert rules_about(lab, guest.port.link)
    assert not rules_about(lab, stale.port.link)
    assert not await lab.confinement.check()


async def test_a_link_that_only_bears_a_guests_name_stays(lab: Lab) -> None:
    first, second, third = (f"{lab.mark}qv{number}" for number in ("X", "Y", "Z"))
    ip_batch(
        f"link add {first} type bridge",
        "link add other0 type bridge",
        f"link add {second} type veth peer name peer0",
        f"link set {second} master other0",
        f"link add {third} type veth peer name peer1",
    )
    assert await lab.confinement.reconcile([]) == [third]
    assert await links.find_link(first) is not None
    assert await links.find_link(second) is not None


async def test_guest_is_attached_again_when_its_bridge_was_made_anew(lab: Lab) -> None:
    guest = await lab.plug(1)
    await links.remove_link(lab.settings.bridge_name)
    await lab.network.up()
    await lab.confinement.reconcile([guest.port])
    with tcp_listener(guest, 4100), Dialling(lab.node, guest.port.address.ip, 4100) as dialled:
        await until(dialled.connected)


async def test_two_instances_on_one_host_leave_each_other_alone(lab: Lab) -> None:
    first = await lab.plug(1)
    other = Lab(
        mark=lab.mark[:4] + "x",
        settings=replace(
            lab.settings, prefix=lab.mark[:4] + "x", subnet=IPv4Network("10.98.0.0/24")
        ),
        records=lab.records,
        node=lab.node,
        outside=lab.outside,
    )
    try:
        await other.begin()
        second = await other.plug(1)
        assert second.port.mac != first.port.mac
        await lab.confinement.reconcile([first.port])
        for guest, stranger in ((first, second), (second, first)):
            address = guest.port.address.ip
            with tcp_listener(guest, 4100), Dialling(stranger, address, 4100) as refused:
                with Dialling(lab.node, address, 4100) as dialled:
                    await until(dialled.connected)
                assert not refused.connected()
        await lab.confinement.release(first.vm_id, first.port)
        await lab.network.down()
        assert rules_about(lab, second.port.link)
        assert not rules_about(lab, first.port.link)
    finally:
        other.tear_down()


async def test_addresses_run_out_with_a_sentence(lab: Lab) -> None:
    with_settings(lab, subnet=IPv4Network("10.99.0.0/29"))
    for number in range(1, 6):
        await lab.confinement.reserve(VmId(number), egress=True)
    with pytest.raises(NodeFull, match="all 5 addresses"):
        await lab.confinement.reserve(VmId(6), egress=True)


async def test_refused_change_says_why() -> None:
    with pytest.raises(MissingRules, match="No such file"):
        await Nft().listing({"counters": {"family": "inet", "table": "qvdnode_nobody"}})
    with pytest.raises(HostFailed, match="Unknown family"):
        await Nft().change([{"add": {"table": {"family": "ipx", "name": "qvdnode_nobody"}}}])


async def test_a_change_happens_whole_or_not_at_all(lab: Lab) -> None:
    table = {"family": "inet", "name": f"{lab.mark}_half"}
    chain = {"family": "inet", "table": f"{lab.mark}_nobody", "name": "x"}
    with pytest.raises(MissingRules):
        await lab.nft.change([{"add": {"table": table}}, {"add": {"chain": chain}}])
    listed = await lab.nft.listing({"tables": None})
    assert table["name"] not in {item["table"]["name"] for item in listed}


def flush(lab: Lab) -> None:
    """What `nftables.service` does when it is restarted."""
    subprocess.run(["ip", "netns", "exec", lab.node.name, "nft", "flush", "ruleset"], check=True)
