"""The guests' network comes and goes without leaving a trace or touching what is not its own."""

import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from qvdnode.host import forwarding, links
from qvdnode.model.errors import HostFailed
from qvdnode.net import foreign_firewalls, host_network
from qvdnode.net.core import names
from qvdnode.net.settings import ForeignForward, Uplink
from tests.fixtures_netns import WORLD, Lab, ip_batch, with_settings
from tests.integration.net.sockets import send_datagram, udp_listener
from tests.waiting import until

pytestmark = pytest.mark.nftables

FIREWALL = """
table ip filter {
    chain FORWARD { type filter hook forward priority 0; policy drop; iifname "docker0" accept; }
}
table inet friendly {
    chain forward { type filter hook forward priority 0; policy accept; }
}
"""

FIREWALLD = """
table inet firewalld {
    chain filter_FORWARD {
        type filter hook forward priority 10; policy accept;
        ct state established,related accept
        iifname "lo" accept
        ct state invalid drop
        counter reject with icmpx type admin-prohibited
    }
}
"""


def ruleset(lab: Lab) -> str:
    """All rules of the node's namespace, as nft prints them."""
    return subprocess.run(
        ["ip", "netns", "exec", lab.node.name, "nft", "list", "ruleset"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def load_firewall(lab: Lab, rules: str = FIREWALL) -> None:
    """What Docker or ufw leave behind, or another firewall."""
    subprocess.run(
        ["ip", "netns", "exec", lab.node.name, "nft", "-f", "-"],
        check=True, input=rules, text=True,
    )  # fmt: skip


def option(name: str) -> str:
    """A sysctl of the namespace in which the test stands."""
    return (Path("/proc/sys/net") / name).read_text(encoding="ascii").strip()


async def test_up_makes_a_quiet_bridge_with_the_gateways_address(lab: Lab) -> None:
    bridge = await links.find_link(lab.settings.bridge_name)
    assert bridge is not None
    assert bridge.kind == "bridge"
    assert [str(address) for address in await links.addresses(bridge)] == ["10.99.0.1/24"]
    assert option(f"ipv6/conf/{bridge.name}/disable_ipv6") == "1"
    assert option(f"ipv6/conf/{bridge.name}/accept_ra") == "0"
    assert option(f"ipv4/conf/{bridge.name}/arp_ignore") == "1"
    assert option(f"ipv4/conf/{bridge.name}/proxy_arp") == "0"
    assert forwarding.enabled()


async def test_up_and_down_leave_the_host_as_it_was(bare_lab: Lab) -> None:
    load_firewall(bare_lab)
    before = ruleset(bare_lab), sorted(link.name for link in await links.all_links())
    with_settings(bare_lab, foreign_forward=ForeignForward.ACCEPT)
    await bare_lab.begin()
    await bare_lab.network.up()
    assert ruleset(bare_lab) != before[0]
    for _ in range(2):
        await bare_lab.network.down()
        now = ruleset(bare_lab), sorted(link.name for link in await links.all_links())
        assert now == before
        assert not forwarding.enabled()


async def test_down_is_refused_while_guests_are_attached(lab: Lab) -> None:
    guest = await lab.plug(1)
    with pytest.raises(HostFailed, match=guest.port.link):
        await lab.network.down()
    assert await links.find_link(lab.settings.bridge_name) is not None
    await lab.confinement.release(guest.vm_id, guest.port)
    await lab.network.down()


async def test_up_again_keeps_the_bridge_and_its_guests(lab: Lab) -> None:
    before = await links.find_link(lab.settings.bridge_name)
    guest = await lab.plug(1)
    lab.rebuild()
    await lab.network.up()
    await lab.confinement.adopt(guest.vm_id, guest.port)
    await lab.confinement.reconcile([guest.port])
    assert await links.find_link(lab.settings.bridge_name) == before


async def test_bridge_made_by_somebody_else_is_refused_and_left_alone(bare_lab: Lab) -> None:
    name = bare_lab.settings.bridge_name
    ip_batch(f"link add {name} type bridge", f"addr add 10.99.0.1/24 dev {name}")
    before = await links.find_link(name)
    with pytest.raises(HostFailed, match="did not make"):
        await bare_lab.network.up()
    await bare_lab.network.down()
    assert await links.find_link(name) == before
    assert not forwarding.enabled()


async def test_bridge_follows_a_change_of_subnet_once_it_has_no_guests(lab: Lab) -> None:
    guest = await lab.plug(1)
    with_settings(lab, subnet=IPv4Network("10.98.0.0/24"))
    with pytest.raises(HostFailed, match="stop them"):
        await lab.network.up()
    await links.remove_link(guest.port.link)
    await lab.network.up()
    bridge = await links.find_link(lab.settings.bridge_name)
    assert bridge is not None
    assert [str(address) for address in await links.addresses(bridge)] == ["10.98.0.1/24"]


async def test_subnet_that_the_host_uses_is_refused(bare_lab: Lab) -> None:
    with_settings(bare_lab, subnet=IPv4Network("198.51.0.0/16"))
    with pytest.raises(HostFailed, match=r"198\.51\.100\.0/24.*lan0"):
        await bare_lab.network.up()
    assert await links.find_link(bare_lab.settings.bridge_name) is None


async def test_unused_subnet_collides_with_nothing(lab: Lab) -> None:
    ip_batch("route add 10.64.0.0/24 via 192.0.2.1")
    assert await host_network.unused_subnet(prefixlen=24, seed=0) == IPv4Network("10.64.1.0/24")


async def test_without_uplink_forwarding_stays_off(bare_lab: Lab) -> None:
    with_settings(bare_lab, uplink=Uplink.NONE)
    await bare_lab.begin()
    assert not forwarding.enabled()


async def test_foreign_firewall_that_drops_is_told(lab: Lab) -> None:
    assert await foreign_firewalls.droppers() == []
    load_firewall(lab)
    assert [str(dropper) for dropper in await foreign_firewalls.droppers()] == ["ip filter FORWARD"]


async def test_foreign_firewall_is_opened_where_the_config_allows(lab: Lab) -> None:
    load_firewall(lab)
    guest = await lab.plug(1)
    with udp_listener(lab.outside, 5353) as listener:
        await lab.network.up()
        send_datagram(guest, WORLD, 5353, b"first")
        with_settings(lab, foreign_forward=ForeignForward.ACCEPT)
        await lab.network.up()
        send_datagram(guest, WORLD, 5353, b"second")
        await until(lambda: listener.heard(b"second"))
        assert not listener.heard(b"first")
    # The other firewall's own rules stand, and ours are judged besides them.
    assert 'iifname "docker0" accept' in ruleset(lab)
    assert (await lab.confinement.dropped())["drop_to_guest"] == 0


async def test_a_firewall_that_comes_after_the_node_is_opened_too(bare_lab: Lab) -> None:
    """As when Docker starts later, or ufw is loaded anew."""
    with_settings(bare_lab, foreign_forward=ForeignForward.ACCEPT)
    await bare_lab.begin()
    guest = await bare_lab.plug(1)
    with udp_listener(bare_lab.outside, 5353) as listener:
        load_firewall(bare_lab)
        send_datagram(guest, WORLD, 5353, b"first")
        await bare_lab.network.check()
        send_datagram(guest, WORLD, 5353, b"second")
        await until(lambda: listener.heard(b"second"))
        assert not listener.heard(b"first")
    opened = ruleset(bare_lab)
    await bare_lab.network.check()
    assert ruleset(bare_lab) == opened


async def test_a_firewall_that_rejects_at_its_end_is_opened_too(bare_lab: Lab) -> None:
    with_settings(bare_lab, foreign_forward=ForeignForward.ACCEPT)
    await bare_lab.begin()
    guest = await bare_lab.plug(1)
    load_firewall(bare_lab, FIREWALLD)
    with udp_listener(bare_lab.outside, 5353) as listener:
        send_datagram(guest, WORLD, 5353, b"first")
        await bare_lab.network.check()
        send_datagram(guest, WORLD, 5353, b"second")
        await until(lambda: listener.heard(b"second"))
        assert not listener.heard(b"first")


async def test_a_firewall_that_comes_after_the_node_is_told_once(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    load_firewall(lab)
    for _ in range(2):
        await lab.network.check()
    told = [record for record in caplog.records if record.msg == "foreign_forward_drops"]
    assert [record.__dict__["chain"] for record in told] == ["ip filter FORWARD"]


async def test_forwarding_that_somebody_switched_off_is_switched_on_again(lab: Lab) -> None:
    forwarding.SWITCH.write_text("0\n")
    await lab.network.check()
    assert forwarding.enabled()
    await lab.network.down()
    await lab.network.check()
    assert not forwarding.enabled()


async def test_whoever_goes_back_to_report_leaves_no_rules_behind(bare_lab: Lab) -> None:
    load_firewall(bare_lab)
    before = ruleset(bare_lab)
    with_settings(bare_lab, foreign_forward=ForeignForward.ACCEPT)
    await bare_lab.network.up()
    assert ruleset(bare_lab) != before
    with_settings(bare_lab, foreign_forward=ForeignForward.REPORT)
    await bare_lab.network.up()
    assert ruleset(bare_lab) == before


async def test_default_route_names_the_uplink(lab: Lab) -> None:
    perimeter = await host_network.perimeter(lab.settings)
    assert perimeter.uplinks == ("up0",)
    assert perimeter.resolvers == (IPv4Address("192.0.2.1"),)
    assert IPv4Network("198.51.100.0/24") in perimeter.denied
    assert lab.settings.subnet not in perimeter.denied
    assert names.bridge_name(lab.mark) == perimeter.bridge
