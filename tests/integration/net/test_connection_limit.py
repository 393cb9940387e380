"""No guest fills the host's table of connections."""

import contextlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.fixtures_netns import METADATA, SUBNET, WORLD, Guest, Lab, Namespace, with_settings
from tests.integration.net.sockets import Dialling, received, tcp_listener
from tests.waiting import until

pytestmark = pytest.mark.nftables

LIMIT, TRIED, FLOOD = 40, 90, 6000
FRIEND, DISPLAY, PORT = 8080, 4100, 5353
GATEWAY = SUBNET.network_address + 1


@pytest.fixture
async def guests(bare_lab: Lab) -> tuple[Guest, Guest]:
    with_settings(bare_lab, connections_max=LIMIT)
    await bare_lab.begin()
    return await bare_lab.plug(1), await bare_lab.plug(2)


@contextmanager
def dialled(where: Namespace, count: int) -> Iterator[list[Dialling]]:
    """So many connections to the friend outside, opened and kept."""
    with ExitStack() as stack:
        yield [stack.enter_context(Dialling(where, WORLD, FRIEND)) for _ in range(count)]


def open_ones(tried: list[Dialling]) -> list[Dialling]:
    """Those that the friend has answered."""
    return [one for one in tried if one.connected()]


def entries() -> int:
    """Connections that the node's kernel remembers."""
    return int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())


async def dropped(lab: Lab) -> int:
    """How many packets were dropped for the limit."""
    return (await lab.confinement.dropped())["drop_too_many_connections"]


async def test_beyond_the_limit_a_guest_hurts_itself_alone(
    bare_lab: Lab, guests: tuple[Guest, Guest]
) -> None:
    lab, (greedy, other) = bare_lab, guests
    with (
        tcp_listener(lab.outside, FRIEND) as friend,
        dialled(greedy, LIMIT) as first,
    ):
        friend.listen(4 * TRIED)
        await until(lambda: len(open_ones(first)) == LIMIT, what="connections up to the limit")
        assert await dropped(lab) == 0
        with dialled(greedy, TRIED - LIMIT) as more:
            await until(lambda: dropped(lab), what="a connection beyond the limit")
            assert open_ones(more) == []
            assert entries() < TRIED
            with dialled(other, LIMIT) as others, dialled(lab.node, 5) as nodes:
                await until(lambda: len(open_ones(others)) == LIMIT, what="the other guest")
                await until(lambda: len(open_ones(nodes)) == 5, what="the host")
            await assert_works(first[0], friend)
            await assert_shown(lab, greedy)


async def assert_works(one: Dialling, friend: socket.socket) -> None:
    """What was opened before goes on."""
    served, _ = friend.accept()
    with served:
        served.sendall(b"answer")
        assert await until(lambda: received(one.socket)) == b"answer"
        one.socket.send(b"question")
        served.setblocking(False)
        assert await until(lambda: received(served)) == b"question"


async def assert_shown(lab: Lab, guest: Guest) -> None:
    """The node reaches the display; that is not a connection of the guest's."""
    address = guest.port.address.ip
    with tcp_listener(guest, DISPLAY), dialled_display(lab, address) as showing:
        await until(showing.connected, what="the display")


def dialled_display(lab: Lab, address: IPv4Address) -> Dialling:
    """The node's connection to a display."""
    return Dialling(lab.node, address, DISPLAY)


async def test_datagrams_that_nobody_answers_are_limited_too(
    bare_lab: Lab, guests: tuple[Guest, Guest]
) -> None:
    greedy, _ = guests
    before = entries()
    send_from_many_ports(greedy, WORLD)
    await until(lambda: dropped(bare_lab), what="a datagram beyond the limit")
    assert entries() - before <= LIMIT


@pytest.mark.parametrize("target", [GATEWAY, METADATA], ids=["the node", "a denied network"])
async def test_what_is_dropped_leaves_no_entry(
    bare_lab: Lab, guests: tuple[Guest, Guest], target: IPv4Address
) -> None:
    greedy, _ = guests
    before = entries()
    send_from_many_ports(greedy, target)

    async def all_dropped() -> bool:
        counts = await bare_lab.confinement.dropped()
        return counts["drop_to_node"] + counts["drop_denied_network"] >= TRIED

    await until(all_dropped)
    assert entries() - before < LIMIT // 2
    assert await dropped(bare_lab) == 0


async def test_a_flood_of_attempts_is_stopped_before_it_is_counted(
    bare_lab: Lab, guests: tuple[Guest, Guest]
) -> None:
    """Each would be kept in the kernel's memory for a while."""
    lab, (greedy, _) = bare_lab, guests

    async def too_fast() -> int:
        return (await lab.confinement.dropped())["drop_connections_too_fast"]

    with greedy.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaking:
        for port in range(1024, 1024 + FLOOD):
            speaking.sendto(b"question", (str(WORLD), port))
    await until(too_fast, what="an attempt dropped for the rate")
    assert entries() < 2 * LIMIT


async def test_a_stream_that_nobody_answers_is_one_connection(
    bare_lab: Lab, guests: tuple[Guest, Guest]
) -> None:
    greedy, _ = guests
    with greedy.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaking:
        speaking.connect((str(WORLD), PORT))
        for _ in range(FLOOD):
            # Nobody listens outside, and says so.
            with contextlib.suppress(ConnectionRefusedError):
                speaking.send(b"sound")
    counts = await bare_lab.confinement.dropped()
    assert counts["drop_connections_too_fast"] == counts["drop_too_many_connections"] == 0


def send_from_many_ports(guest: Guest, target: IPv4Address) -> None:
    """A datagram from each of many sockets."""
    for _ in range(TRIED):
        with guest.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaking:
            speaking.sendto(b"question", (str(target), PORT))
