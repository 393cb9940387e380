"""Whom a guest must not reach, who must not reach a guest, and what must work all the same."""

import ctypes
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest

from qvdnode.host import links
from qvdnode.net.core import names
from qvdnode.net.settings import Uplink
from tests.fixtures_netns import (
    ALIBABA_METADATA,
    AZURE_WIRESERVER,
    LIBC,
    METADATA,
    NODE_STORAGE,
    NODE_UPLINK,
    OUTSIDE,
    STORAGE,
    SUBNET,
    WORLD,
    Guest,
    Lab,
    with_settings,
)
from tests.integration.net import frames
from tests.integration.net.sockets import (
    Dialling,
    Listener,
    assert_stopped,
    received,
    send_datagram,
    send_frame,
    tcp_listener,
    udp_listener,
)
from tests.waiting import until

pytestmark = pytest.mark.nftables

GATEWAY = SUBNET.network_address + 1
NOBODY = 65_534
PORT = 5353
DISPLAY = 4100


@pytest.fixture
def mark() -> bytes:
    return secrets.token_hex(8).encode()


def connected_to(listening: socket.socket) -> Callable[[], bool]:
    """Tells whether somebody has connected since it was last asked."""

    def asked() -> bool:
        found = False
        with suppress(BlockingIOError):
            while True:
                listening.accept()[0].close()
                found = True
        return found

    return asked


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """Make sockets as another user of the host; concerns this thread alone."""
    LIBC.setfsuid(ctypes.c_uint(uid))
    try:
        yield
    finally:
        LIBC.setfsuid(ctypes.c_uint(0))


@pytest.mark.parametrize("target", [GATEWAY, NODE_UPLINK, NODE_STORAGE])
async def test_guest_does_not_reach_the_nodes_udp_ports(
    lab: Lab, mark: bytes, target: IPv4Address
) -> None:
    guest = await lab.plug(1)
    with udp_listener(lab.node, PORT) as listener:
        await assert_stopped(
            lab,
            lambda: send_datagram(guest, target, PORT, mark),
            lambda: listener.heard_anew(mark),
            reason="drop_to_node",
        )


@pytest.mark.parametrize("target", [GATEWAY, NODE_UPLINK])
async def test_guest_does_not_reach_the_nodes_tcp_ports(lab: Lab, target: IPv4Address) -> None:
    guest = await lab.plug(1)
    with tcp_listener(lab.node, PORT) as listening, ExitStack() as dialled:
        await assert_stopped(
            lab,
            lambda: dialled.enter_context(Dialling(guest, target, PORT)),
            connected_to(listening),
            reason="drop_to_node",
        )


async def test_guest_does_not_reach_the_node_by_fragments(lab: Lab, mark: bytes) -> None:
    guest = await lab.plug(1)
    bridge_mac = names.bridge_mac(lab.settings.prefix, lab.settings.bridge_name)
    datagram = frames.udp(PORT, PORT, mark.ljust(24))
    parts = [(0x2000, datagram[:8]), (0x0001, datagram[8:])]

    def attack() -> None:
        for fragment, part in parts:
            packet = frames.ipv4(
                guest.port.address.ip, GATEWAY, frames.UDP, part, fragment=fragment
            )
            send_frame(
                guest, "eth0", frames.ethernet(bridge_mac, guest.port.mac, frames.IPV4, packet)
            )

    with udp_listener(lab.node, PORT) as listener:
        await assert_stopped(lab, attack, lambda: listener.heard_anew(mark), reason="drop_to_node")


async def test_guest_does_not_reach_the_node_by_ipv6(lab: Lab, mark: bytes) -> None:
    """Its own link-local address is let into the bridge, and no further."""
    guest = await lab.plug(1)
    # The bridge has no IPv6; as if somebody had switched it on.
    links.set_link_options(lab.settings.bridge_name, {"ipv6/disable_ipv6": 0})
    source, target = names.link_local(guest.port.mac), IPv6Address("ff02::1")
    message = frames.icmp6(source, target, 128, bytes(4) + mark)
    frame = frames.ethernet(
        "33:33:00:00:00:01",
        guest.port.mac,
        frames.IPV6,
        frames.ipv6(source, target, frames.ICMP6, message),
    )
    with lab.node.socket(socket.AF_INET6, socket.SOCK_RAW, frames.ICMP6) as listening:
        listener = Listener(listening)
        await assert_stopped(
            lab,
            lambda: send_frame(guest, "eth0", frame),
            lambda: listener.heard_anew(mark),
            reason="drop_to_node",
        )


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (METADATA, "drop_denied_network"),
        (ALIBABA_METADATA, "drop_denied_network"),
        (AZURE_WIRESERVER, "drop_denied_network"),
        (STORAGE, "drop_denied_network"),
        (OUTSIDE, "drop_denied_network"),
    ],
    ids=["metadata", "Alibaba", "Azure", "storage network", "uplink's own network"],
)
async def test_guest_does_not_reach_networks_of_the_host(
    lab: Lab, mark: bytes, target: IPv4Address, reason: str
) -> None:
    guest = await lab.plug(1)
    with udp_listener(lab.outside, PORT) as listener:
        await assert_stopped(
            lab,
            lambda: send_datagram(guest, target, PORT, mark),
            lambda: listener.heard_anew(mark),
            reason=reason,
        )


@pytest.mark.parametrize("target", [WORLD, OUTSIDE], ids=["the world", "the resolver"])
async def test_guest_without_egress_reaches_nothing(
    lab: Lab, mark: bytes, target: IPv4Address
) -> None:
    guest = await lab.plug(1, egress=False)
    with udp_listener(lab.outside, 53) as listener:
        await assert_stopped(
            lab,
            lambda: send_datagram(guest, target, 53, mark),
            lambda: listener.heard_anew(mark),
            reason="drop_no_egress",
        )


async def test_guests_do_not_reach_each_other_through_the_node(lab: Lab, mark: bytes) -> None:
    attacker, victim = await lab.plug(1), await lab.plug(2)
    bridge_mac = names.bridge_mac(lab.settings.prefix, lab.settings.bridge_name)
    packet = frames.ipv4(
        attacker.port.address.ip,
        victim.port.address.ip,
        frames.UDP,
        frames.udp(PORT, PORT, mark),
    )
    frame = frames.ethernet(bridge_mac, attacker.port.mac, frames.IPV4, packet)
    with udp_listener(victim, PORT) as listener:
        await assert_stopped(
            lab,
            lambda: send_frame(attacker, "eth0", frame),
            lambda: listener.heard_anew(mark),
            reason="drop_between_guests",
        )


@pytest.mark.parametrize("port", [DISPLAY, PORT])
async def test_nobody_outside_reaches_a_guest(lab: Lab, port: int) -> None:
    guest = await lab.plug(1)
    with tcp_listener(guest, port) as listening, ExitStack() as dialled:
        await assert_stopped(
            lab,
            lambda: dialled.enter_context(Dialling(lab.outside, guest.port.address.ip, port)),
            connected_to(listening),
            reason="drop_to_guest",
        )


async def test_no_other_user_of_the_host_reaches_a_display(lab: Lab) -> None:
    guest = await lab.plug(1)
    with tcp_listener(guest, DISPLAY) as listening, ExitStack() as dialled:

        def dial() -> None:
            with as_user(NOBODY):
                dialled.enter_context(Dialling(lab.node, guest.port.address.ip, DISPLAY))

        await assert_stopped(lab, dial, connected_to(listening), reason="drop_from_host")


async def test_the_node_reaches_only_the_display(lab: Lab) -> None:
    guest = await lab.plug(1)
    address = guest.port.address.ip
    with tcp_listener(guest, DISPLAY) as display, tcp_listener(guest, PORT) as other:
        with Dialling(lab.node, address, DISPLAY) as dialled:
            await until(connected_to(display), what="the display")
            await until(dialled.connected)
        with Dialling(lab.node, address, PORT) as refused:
            assert not refused.connected()
            assert (await lab.confinement.dropped())["drop_from_host"] > 0
            assert not connected_to(other)()


async def test_a_display_conversation_goes_both_ways(lab: Lab) -> None:
    guest = await lab.plug(1)
    address = guest.port.address.ip
    with tcp_listener(guest, DISPLAY) as display, Dialling(lab.node, address, DISPLAY) as dialled:
        await until(dialled.connected)
        served, _ = display.accept()
        with served:
            served.setblocking(False)
            served.send(b"from guest")
            assert await until(lambda: received(dialled.socket)) == b"from guest"
            dialled.socket.send(b"from node")
            assert await until(lambda: received(served)) == b"from node"


@pytest.mark.parametrize(
    ("target", "port"), [(WORLD, PORT), (OUTSIDE, 53)], ids=["the world", "the resolver"]
)
async def test_guest_reaches_out_by_nat_and_gets_the_answer(
    lab: Lab, mark: bytes, target: IPv4Address, port: int
) -> None:
    guest = await lab.plug(1)
    assert await asker_at(lab, guest, (str(target), port), mark) == str(NODE_UPLINK)


async def test_a_routed_guest_reaches_out_under_its_own_address(bare_lab: Lab, mark: bytes) -> None:
    with_settings(bare_lab, uplink=Uplink.ROUTED)
    await bare_lab.begin()
    guest = await bare_lab.plug(1)
    assert await asker_at(bare_lab, guest, (str(WORLD), PORT), mark) == str(guest.port.address.ip)


async def asker_at(lab: Lab, guest: Guest, target: tuple[str, int], mark: bytes) -> str:
    """Who a guest's question comes from, as its target sees it; the answer must arrive, too."""
    with (
        lab.outside.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        guest.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(target)
        client.connect(target)
        client.send(mark)
        heard = await until(lambda: received_from(server))
        assert heard is not None
        question, asker = heard
        assert question == mark
        server.sendto(b"answer", asker)
        assert await until(lambda: received(client)) == b"answer"
        return asker[0]


async def test_allowed_network_is_reached_and_its_neighbours_are_not(
    bare_lab: Lab, mark: bytes
) -> None:
    with_settings(bare_lab, allowed_networks=(IPv4Network(f"{STORAGE}/32"),))
    await bare_lab.begin()
    guest = await bare_lab.plug(1)
    with udp_listener(bare_lab.outside, PORT) as listener:
        send_datagram(guest, STORAGE, PORT, mark)
        await until(lambda: listener.heard_anew(mark))
        send_datagram(guest, OUTSIDE, PORT, mark)
        await until(lambda: denied(bare_lab))
        assert not listener.heard_anew(mark)


async def test_a_providers_resolver_is_reached_for_names_and_nothing_else(
    bare_lab: Lab, mark: bytes
) -> None:
    """Azure's DNS has the address of its metadata."""
    with_settings(bare_lab, resolvers=(AZURE_WIRESERVER,))
    await bare_lab.begin()
    guest = await bare_lab.plug(1)
    assert await asker_at(bare_lab, guest, (str(AZURE_WIRESERVER), 53), mark) == str(NODE_UPLINK)
    with udp_listener(bare_lab.outside, PORT) as listener:
        send_datagram(guest, AZURE_WIRESERVER, PORT, mark)
        await until(lambda: denied(bare_lab))
        assert not listener.heard_anew(mark)


async def denied(lab: Lab) -> int:
    """How many packets to denied networks were dropped."""
    return (await lab.confinement.dropped())["drop_denied_network"]


def received_from(where: socket.socket) -> tuple[bytes, tuple[str, int]] | None:
    """What has come, and from whom."""
    try:
        return where.recvfrom(4096)
    except BlockingIOError:
        return None
