"""The relay over real TLS and TCP: what is said arrives, and every end is reported once."""

import asyncio
import contextlib
import hashlib
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from qvdnode.broker.settings import BrokerSettings
from qvdnode.model.ids import Generation, VmId
from qvdnode.model.seat import DisplayAddress, Seat, Viewer, ViewerId
from qvdnode.proxy.guest_end import DisplayDialer
from qvdnode.proxy.relay import Relay
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.tls.server_stream import ServerStream
from qvdnode.tls.stream import StreamOwner
from tests.fakes.desktops import Ended
from tests.fakes.qvd_server import context_for_tests
from tests.fixtures_netns import NODE_UPLINK, Lab
from tests.integration.broker.clients import CONNECT, GREETING, Place, patient, place, quick
from tests.integration.peer.hop import place_over_a_hop
from tests.waiting import until

VIEWER = Viewer(ViewerId("alice"), None)
BULK = bytes(range(256)) * 4 * 1024 * 8  # 8 MiB


def placed(way: str, folder: Path, settings: BrokerSettings) -> AbstractAsyncContextManager[Place]:
    """Clients of one node, and the displays of it or of another one."""
    return place(folder, settings) if way == "local" else place_over_a_hop(folder, settings)


@pytest.fixture(params=["local", "hop"])
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with placed(request.param, tmp_path, patient()) as made:
        yield made


@pytest.fixture(params=["local", "hop"])
async def quick_place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with placed(request.param, tmp_path, quick()) as made:
        yield made


async def the_end(here: Place) -> Ended:
    """The one ticket that was given back."""
    await until(lambda: here.desktops.ended_tickets)
    [ended] = here.desktops.ended_tickets
    return ended


async def test_bytes_go_both_ways_whole_and_in_order(here: Place) -> None:
    client = await here.client()
    await client.upgraded()
    reader, writer = await here.display.next()
    digest = hashlib.sha256(BULK).digest()

    async def send(to: asyncio.StreamWriter) -> None:
        to.write(BULK)
        await to.drain()

    up, down, _, _ = await asyncio.gather(
        reader.readexactly(len(BULK)),
        client.reader.readexactly(len(BULK)),
        send(client.writer),
        send(writer),
    )
    assert hashlib.sha256(up).digest() == hashlib.sha256(down).digest() == digest
    client.writer.close()
    assert await reader.read() == b""
    writer.close()
    ended = await the_end(here)
    assert ended.reason == "the client disconnected"
    assert (ended.bytes_in, ended.bytes_out) == (len(GREETING) + len(BULK), len(BULK))


async def test_a_stream_that_came_with_the_request_is_not_lost(here: Place) -> None:
    client = await here.client()
    client.say(CONNECT + GREETING + b"and more")
    assert (await client.answer())[0] == 101
    reader, _ = await here.display.next()
    assert await reader.readexactly(8) == b"and more"


async def test_the_display_is_dialled_once_the_greeting_is_whole(here: Place) -> None:
    client = await here.client()
    assert (await client.answer(CONNECT))[0] == 101
    client.say(GREETING[:-1])
    await client.writer.drain()
    other = await here.client()  # by now the node has seen what came before
    assert here.display.dialled == 0
    client.say(GREETING[-1:])
    await here.display.next()
    other.writer.close()


async def test_no_greeting_in_time_ends_the_stream_without_touching_the_display(
    quick_place: Place,
) -> None:
    client = await quick_place.client()
    assert (await client.answer(CONNECT))[0] == 101
    assert await client.ended() == b""
    assert (await the_end(quick_place)).reason == "the client sent no NX greeting in time"
    assert quick_place.display.dialled == 0


async def test_what_is_no_greeting_ends_the_stream(here: Place) -> None:
    client = await here.client()
    assert (await client.answer(CONNECT + b"GET / HTTP/1.1\r\n"))[0] == 101
    assert await client.ended() == b""
    assert "NX greeting" in (await the_end(here)).reason
    assert here.display.dialled == 0


async def test_a_display_that_is_not_there_ends_the_stream(here: Place) -> None:
    here.desktops.address = DisplayAddress("127.0.0.1", 1)
    client = await here.client()
    await client.upgraded()
    assert await client.ended() == b""
    assert (await the_end(here)).reason == "the desktop's display could not be reached"


async def test_a_client_that_vanishes_frees_the_display(quick_place: Place) -> None:
    client = await quick_place.client()
    await client.upgraded()
    reader, _ = await quick_place.display.next()
    client.vanish()
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    assert (await the_end(quick_place)).reason == "the client disconnected"


async def test_a_display_that_closes_delivers_its_last_words(here: Place) -> None:
    client = await here.client()
    await client.upgraded()
    _, writer = await here.display.next()
    writer.write(b"last words")
    writer.close()
    assert await client.ended() == b"last words"
    assert (await the_end(here)).reason == "the desktop closed its display"


async def test_a_display_that_is_reset_ends_the_stream(here: Place) -> None:
    client = await here.client()
    await client.upgraded()
    _, writer = await here.display.next()
    client.say(b"unread")
    await client.writer.drain()
    writer.transport.abort()
    await client.ended()
    assert "display" in (await the_end(here)).reason


async def test_a_client_that_half_closes_still_gets_what_the_display_says(here: Place) -> None:
    # TLS in asyncio cannot half-close, so the display's view is what counts: all bytes, then EOF.
    client = await here.client()
    await client.upgraded()
    reader, writer = await here.display.next()
    client.say(BULK)
    client.writer.close()
    assert len(await reader.read()) == len(BULK)
    writer.close()
    assert (await the_end(here)).bytes_in == len(GREETING) + len(BULK)


async def test_the_newest_client_takes_over(here: Place) -> None:
    first = await here.client()
    await first.upgraded()
    old_display, _ = await here.display.next()
    second = await here.client()
    await second.upgraded()
    new_display, _ = await here.display.next()
    assert await first.ended() == b""
    assert await old_display.read() == b""
    assert (await the_end(here)).reason == "Another client took this desktop over."
    second.say(b"still here")
    assert await new_display.readexactly(10) == b"still here"


async def test_a_client_that_does_not_read_holds_the_display_back(here: Place) -> None:
    client = await here.client()
    await client.upgraded()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # TLS transports can
    _, writer = await here.display.next()
    sent = 0
    while sent < 256 << 20:
        writer.write(bytes(1 << 20))
        try:
            async with asyncio.timeout(1.0):
                await writer.drain()
        except TimeoutError:
            break
        sent += 1 << 20
    assert sent < 64 << 20, "the relay takes everything although nobody reads it"
    client.vanish()
    writer.transport.abort()
    await the_end(here)


async def test_a_display_that_does_not_read_holds_the_client_back(quick_place: Place) -> None:
    client = await quick_place.client()
    await client.upgraded()
    reader, writer = await quick_place.display.next()
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # socket transports can
    sent = 0
    while sent < 256 << 20:
        client.say(bytes(1 << 20))
        try:
            async with asyncio.timeout(1.0):
                await client.writer.drain()
        except TimeoutError:
            break
        sent += 1 << 20
    assert sent < 64 << 20
    client.vanish()
    writer.transport.resume_reading()  # type: ignore[attr-defined]  # socket transports can
    assert len(await reader.read()) > 0
    await the_end(quick_place)


async def test_a_node_that_stops_gives_every_ticket_back(here: Place) -> None:
    client = await here.client()
    await client.upgraded()
    await here.display.next()
    here.serving.cancel()
    assert await client.ended() == b""
    assert "stopping" in (await the_end(here)).reason


class TcpSide(asyncio.Transport):
    """The TCP side of a client that takes all, and of which only the reading is of interest."""

    def __init__(self, *, reading: bool) -> None:
        super().__init__()
        self.reading = reading

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take it."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Take all."""

    def pause_reading(self) -> None:
        """Note it."""
        self.reading = False

    def resume_reading(self) -> None:
        """Note it."""
        self.reading = True

    def close(self) -> None:
        """Nothing to close."""


@contextlib.asynccontextmanager
async def bare_relay(
    here: Place, first: bytes, *, full: bool
) -> AsyncIterator[tuple[Relay, TcpSide]]:
    """A relay to the display, with nobody behind its client's stream."""
    context = context_for_tests(here.folder)
    stream = ServerStream(context, TickBatch(), cast(StreamOwner, None))
    dialer = DisplayDialer(RelaySettings())
    stream.owner = relay = Relay(stream, TickBatch(), RelaySettings(), dialer)
    stream.connection_made(tcp := TcpSide(reading=not full))
    seat = Seat(None, VmId(1), Generation(1), here.desktops.address, ticket=1)
    async with asyncio.TaskGroup() as group:
        group.create_task(relay.run(seat, VIEWER, first, full=full))
        yield relay, tcp
        relay.evict("the test is over")


async def test_what_was_sent_early_can_be_too_much_for_the_display(here: Place) -> None:
    early = bytes(16 << 20)
    async with bare_relay(here, GREETING + early, full=False) as (relay, tcp):
        reader, _ = await here.display.next()
        await until(lambda: relay.bytes_in)
        assert not tcp.reading
        assert await reader.readexactly(len(early)) == early
        await until(lambda: tcp.reading)


async def test_a_client_that_is_full_at_its_101_holds_the_display_back(here: Place) -> None:
    drawn = bytes(64 << 10)
    async with bare_relay(here, GREETING, full=True) as (relay, _):
        reader, writer = await here.display.next()
        writer.write(drawn)
        relay.stream_data(b"by now the relay would have read")
        await reader.readuntil(b"read")
        assert relay.bytes_out == 0
        relay.stream_drained()
        await until(lambda: relay.bytes_out == len(drawn))


async def test_a_client_that_was_full_is_read_from_again(here: Place) -> None:
    async with bare_relay(here, b"", full=True) as (_, tcp):
        await until(lambda: tcp.reading)


@pytest.mark.parametrize("draws", [True, False])
async def test_a_client_in_a_black_hole_is_noticed(
    tmp_path: Path, bare_lab: Lab, *, draws: bool
) -> None:
    relay = RelaySettings(silence_limit_s=1.0)
    settings = replace(quick(), relay=relay)
    async with place(tmp_path, settings, address=str(NODE_UPLINK)) as here:
        tcp = bare_lab.outside.socket(socket.AF_INET, socket.SOCK_STREAM)
        await asyncio.get_running_loop().sock_connect(tcp, (str(NODE_UPLINK), here.port))
        client = await here.client(tcp)
        await client.upgraded()
        _, writer = await here.display.next()
        swallow_all(bare_lab.outside.name)

        def gone() -> bool:
            if draws and not writer.is_closing():
                writer.write(b"more of the picture")
            return bool(here.desktops.ended_tickets)

        await until(gone, limit_s=30)
        assert (await the_end(here)).reason == "the client disconnected"


def swallow_all(namespace: str) -> None:
    """Let a network namespace take no packet any more, without a word to who sent it."""
    rules = """
    table inet hole {
        chain in { type filter hook input priority 0; policy drop; }
    }
    """
    nft = ["ip", "netns", "exec", namespace, "nft", "-f", "-"]
    subprocess.run(nft, input=rules, text=True, check=True)
