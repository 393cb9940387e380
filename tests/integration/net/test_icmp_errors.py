"""Errors about connections: believed from outside about a guest's own, and from no guest."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address

import pytest

from tests.fixtures_netns import NODE_UPLINK, SUBNET, WORLD, Lab, Namespace, ip_batch
from tests.integration.net import frames
from tests.integration.net.sockets import Listener, assert_stopped
from tests.waiting import until

pytestmark = pytest.mark.nftables

GATEWAY = SUBNET.network_address + 1
PORT, OWN_PORT = 5353, 5454
SMALL_MTU = 600
MARK = b"a datagram that was sent"


@contextmanager
def flow(where: Namespace) -> Iterator[socket.socket]:
    """A UDP socket that has sent something to the world."""
    with where.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaking:
        speaking.bind(("0.0.0.0", OWN_PORT))
        speaking.connect((str(WORLD), PORT))
        speaking.send(MARK)
        yield speaking


def complain(
    where: Namespace,
    to: IPv4Address,
    source: tuple[IPv4Address, int],
    target: tuple[IPv4Address, int],
) -> None:
    """Send an error about a datagram of somebody's, as a router would that cannot pass it on."""
    datagram = frames.udp(source[1], target[1], MARK)
    quoted = frames.ipv4(source[0], target[0], frames.UDP, datagram)
    with where.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(frames.too_large_for(SMALL_MTU, quoted), (str(to), 0))


def mtu_is_small(where: Namespace) -> bool:
    """Whether a namespace has learned a small MTU towards the world since this was last asked."""
    found = subprocess.run(
        ["ip", "-n", where.name, "route", "get", str(WORLD)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    subprocess.run(["ip", "-n", where.name, "route", "flush", "cache"], check=True)
    return f"mtu {SMALL_MTU}" in found.stdout


@contextmanager
def icmp_ear(where: Namespace) -> Iterator[Listener]:
    """Hears ICMP messages that arrive in a namespace."""
    with where.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as listening:
        yield Listener(listening)


@pytest.mark.parametrize("address", [NODE_UPLINK, GATEWAY])
async def test_a_guest_cannot_shrink_the_hosts_packets_to_others(
    lab: Lab, address: IPv4Address
) -> None:
    guest = await lab.plug(1)
    with flow(lab.node):
        await assert_stopped(
            lab,
            lambda: complain(guest, address, (NODE_UPLINK, OWN_PORT), (WORLD, PORT)),
            lambda: mtu_is_small(lab.node),
            reason="drop_to_node",
        )


@pytest.mark.parametrize("port", [OWN_PORT, 1], ids=["a connection of the host's", "none"])
async def test_a_guest_sends_no_errors_to_the_world(lab: Lab, port: int) -> None:
    guest = await lab.plug(1)
    with flow(lab.node), icmp_ear(lab.outside) as listener:
        await assert_stopped(
            lab,
            lambda: complain(guest, WORLD, (WORLD, PORT), (NODE_UPLINK, port)),
            lambda: listener.heard_anew(MARK),
            reason="drop_icmp_error",
        )


async def test_errors_about_others_do_not_reach_a_guest(lab: Lab) -> None:
    guest = await lab.plug(1)
    with flow(lab.node), icmp_ear(guest) as listener:
        await assert_stopped(
            lab,
            lambda: complain(
                lab.outside, guest.port.address.ip, (NODE_UPLINK, OWN_PORT), (WORLD, PORT)
            ),
            lambda: listener.heard_anew(MARK),
            reason="drop_to_guest",
        )


async def test_a_guest_learns_the_path_mtu_of_its_own_connections(lab: Lab) -> None:
    guest = await lab.plug(1)
    with ExitStack() as stack:
        world = stack.enter_context(lab.outside.socket(socket.AF_INET, socket.SOCK_DGRAM))
        world.bind((str(WORLD), PORT))
        speaking = stack.enter_context(flow(guest))

        def sender() -> tuple[str, int] | None:
            speaking.send(MARK)
            try:
                found: tuple[str, int] = world.recvfrom(4096)[1]
            except BlockingIOError:
                return None
            return found

        heard = await until(sender, what="the guest's datagram")
        assert heard is not None
        translated = (IPv4Address(heard[0]), heard[1])
        assert translated[0] == NODE_UPLINK
        complain(lab.outside, NODE_UPLINK, translated, (WORLD, PORT))
        await until(lambda: mtu_is_small(guest), what="the guest to learn it")


async def test_the_node_tells_a_guest_of_a_small_mtu_of_its_uplink(lab: Lab) -> None:
    guest = await lab.plug(1)
    ip_batch(f"link set up0 mtu {SMALL_MTU}")
    with guest.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaking:
        speaking.connect((str(WORLD), PORT))
        speaking.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
        speaking.send(b"x" * 1000)
        await until(lambda: mtu_is_small(guest), what="the guest to learn it")
