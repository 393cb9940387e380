"""Streams over one hop, when something goes wrong. What goes right is test_relay.py's."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.model.errors import Conflict, FarmError, Invalid, NotFound, Unavailable
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.seat import DisplayAddress, Seat, Viewer, ViewerId
from qvdnode.peer.calls import OPEN_STREAM, STOP, OfVm, OpenStream, key_of
from qvdnode.peer.guest_stream import SeatDialer, read_frame
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import Purpose
from qvdnode.proxy.guest_end import DisplayDialer
from qvdnode.proxy.settings import RelaySettings
from qvdnode.wire.peer_errors import error_of
from qvdnode.wire.peer_frames import Call, Failure, encode
from qvdnode.wire.typed_values import to_plain
from tests.fakes.desktops import Ended
from tests.integration.broker.clients import Client, Display, got_close_notify, quick
from tests.integration.peer.hop import ENTRY, OWNER, Hop, hop
from tests.waiting import until

OTHER = NodeId(3)
NOWHERE = DisplayAddress("127.0.0.1", 1)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Hop]:
    settings = quick()
    relay = replace(settings.relay, silence_limit_s=1.0)
    async with hop(tmp_path, replace(settings, relay=relay)) as made:
        yield made


async def connected(
    two: Hop,
) -> tuple[Client, asyncio.StreamReader, asyncio.StreamWriter]:
    """A client whose greeting has reached its display on the other node."""
    client = await two.place.client()
    await client.upgraded()
    reader, writer = await two.place.display.next()
    return client, reader, writer


async def the_end(two: Hop) -> Ended:
    """The ticket that the client's node got back, once the other node has its seat back, too."""
    await until(lambda: two.place.desktops.ended_tickets and two.fleet.detached)
    [ended] = two.place.desktops.ended_tickets
    assert two.fleet.detached == [ended.ticket.seat]
    assert len(two.seats) == 0
    return ended


def break_ends(two: Hop, node_id: NodeId) -> None:
    """Let the connections of that node's process close as the kernel closes a dead one's."""
    made = two.network.dialled if node_id == ENTRY else two.network.accepted
    for connection, _ in made:
        connection.pipe.abort()


async def test_the_end_of_a_stream_gives_the_seat_back(two: Hop) -> None:
    client, reader, _ = await connected(two)
    client.vanish()
    assert await reader.read() == b""
    assert (await the_end(two)).reason == "the client disconnected"


async def test_a_node_of_a_desktop_that_dies_sends_the_client_to_look_for_it(two: Hop) -> None:
    """A goodbye would tell the client that its session has ended, and not to come back."""
    client, _, _ = await connected(two)
    break_ends(two, OWNER)
    assert not await got_close_notify(client)
    assert (await the_end(two)).reason == "the desktop's node was lost"


async def test_a_display_that_closes_says_goodbye_over_two_nodes(two: Hop) -> None:
    client, _, writer = await connected(two)
    writer.close()
    assert await got_close_notify(client)
    assert (await the_end(two)).reason == "the desktop closed its display"


async def test_a_node_of_a_client_that_dies_lets_the_display_suspend(two: Hop) -> None:
    _, reader, _ = await connected(two)
    break_ends(two, ENTRY)
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    await the_end(two)


async def test_an_eviction_that_the_clients_node_ignores_is_enforced(two: Hop) -> None:
    client, reader, _ = await connected(two)
    [(_, given)] = two.seats._given.items()
    two.seats.evicted(given.viewer, linked=True)
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    await client.ended()
    await the_end(two)


async def test_an_eviction_ends_the_stream_on_both_nodes(two: Hop) -> None:
    first, old_reader, _ = await connected(two)
    _second, _, _ = await connected(two)
    assert await first.ended() == b""
    assert await old_reader.read() == b""
    ended = await the_end_of_first(two)
    assert ended.reason == "Another client took this desktop over."


async def the_end_of_first(two: Hop) -> Ended:
    await until(lambda: two.place.desktops.ended_tickets and two.fleet.detached)
    [ended] = two.place.desktops.ended_tickets
    assert two.fleet.detached == [ended.ticket.seat]
    assert len(two.seats) == 1
    return ended


async def test_a_node_that_stalls_in_a_stream_is_given_up(two: Hop) -> None:
    client, _, _ = await connected(two)
    for connection, _ in two.network.accepted:  # as if its process were stopped
        assert connection.pipe.stream.transport is not None
        connection.pipe.stream.transport.pause_reading()
    sent = 0
    while not two.place.desktops.ended_tickets and sent < 256 << 20:
        client.say(bytes(1 << 20))
        sent += 1 << 20
        try:
            async with asyncio.timeout(0.2):
                await client.writer.drain()
        except (TimeoutError, ConnectionError):
            pass
    await until(lambda: two.place.desktops.ended_tickets, limit_s=30)
    assert sent < 64 << 20, "the client's node takes everything although nobody reads it"
    assert two.place.desktops.ended_tickets[0].reason == "the desktop's node was lost"
    break_ends(two, OWNER)
    await the_end(two)


async def test_a_display_that_is_not_there_is_told(two: Hop) -> None:
    two.place.desktops.address = NOWHERE
    client = await two.place.client()
    await client.upgraded()
    assert await client.ended() == b""
    assert (await the_end(two)).reason == "the desktop's display could not be reached"


async def test_a_node_that_is_away_ends_the_stream(two: Hop) -> None:
    two.network.away[OWNER] = "it is away"
    client = await two.place.client()
    await client.upgraded()
    assert not await got_close_notify(client)
    await until(lambda: two.place.desktops.ended_tickets)
    [ended] = two.place.desktops.ended_tickets
    assert ended.reason == "the desktop's display could not be reached"


class Guest:
    """Satisfies proxy.ports.GuestOwner, and counts."""

    def __init__(self) -> None:
        self.lost = 0

    def guest_data(self, data: bytes) -> None:
        """Nobody reads."""

    def guest_eof(self) -> None:
        """Nobody cares."""

    def guest_lost(self) -> None:
        """Count it."""
        self.lost += 1

    def guest_away(self) -> None:
        """Count it as well."""
        self.lost += 1

    def guest_full(self) -> None:
        """Nobody writes."""

    def guest_drained(self) -> None:
        """Nobody writes."""


def seat_of(two: Hop, display: Display | None = None, ticket: int = 5) -> tuple[Viewer, Seat]:
    """A seat that the entry node was given for a client."""
    address = two.place.desktops.address if display is None else NOWHERE
    seat = Seat(OWNER, VmId(7), Generation(3), address, ticket)
    client = Viewer(ViewerId("alice"), ENTRY)
    two.seats.give(ENTRY, client, seat)
    return client, seat


def dialer(two: Hop, here: NodeId = ENTRY) -> SeatDialer:
    """That of a node."""
    relay = RelaySettings()
    network = two.network.dialer(here)
    return SeatDialer(lambda: here, DisplayDialer(relay), network, relay, LinkLimits())


async def test_only_who_was_given_a_seat_may_use_it(two: Hop) -> None:
    client, seat = seat_of(two)
    for here, who, what in (
        (ENTRY, client, replace(seat, ticket=6)),
        (ENTRY, client, replace(seat, generation=Generation(4))),
        (ENTRY, client, replace(seat, vm_id=VmId(8))),
        (ENTRY, Viewer(ViewerId("mallory"), ENTRY), seat),
        (OTHER, client, seat),
    ):
        with pytest.raises(NotFound, match="was not given to this client"):
            await dialer(two, here).dial(what, who, Guest())
    assert two.place.display.dialled == 0
    (await dialer(two).dial(seat, client, Guest())).abort()


async def test_a_seat_has_one_stream(two: Hop) -> None:
    client, seat = seat_of(two)
    first = Guest()
    link = await dialer(two).dial(seat, client, first)
    with pytest.raises(Conflict, match="a stream already"):
        await dialer(two).dial(seat, client, Guest())
    assert first.lost == 0
    link.abort()
    await until(lambda: two.fleet.detached == [seat])
    with pytest.raises(NotFound):
        await dialer(two).dial(seat, client, Guest())


async def test_a_node_that_ends_the_stream_unopened_is_unavailable(two: Hop) -> None:
    client, seat = seat_of(two, two.place.display)
    with pytest.raises(Unavailable, match="Node 2 did not open the stream"):
        await dialer(two).dial(seat, client, Guest())


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (Call(1, STOP.name, to_plain(OfVm(VmId(7)))), Invalid),
        (Call(1, OPEN_STREAM.name, {"seat": 7}), Invalid),
        (
            Call(
                1,
                OPEN_STREAM.name,
                to_plain(
                    OpenStream(
                        key_of(Seat(OWNER, VmId(1), Generation(1), NOWHERE, 1)),
                        Viewer(ViewerId("x"), ENTRY),
                    )
                ),
            ),
            NotFound,
        ),
    ],
)
async def test_an_opening_that_is_none_is_refused(
    two: Hop, call: Call, kind: type[FarmError]
) -> None:
    pipe = (await two.network.dialer(ENTRY).dial(OWNER, Purpose.STREAM)).pipe
    pipe.write(encode(call))
    async with asyncio.timeout(30):
        answer = await read_frame(pipe)
        assert isinstance(answer, Failure)
        assert isinstance(error_of(answer), kind)
        await pipe.closed()


@pytest.mark.parametrize("opening", [b"", b"\0", b"\xff" * 8, b"\0\0\0\1\xc1", b"\0\0\0\3\x93\2\1"])
async def test_a_node_that_opens_nothing_is_hung_up_on(two: Hop, opening: bytes) -> None:
    pipe = (await two.network.dialer(ENTRY).dial(OWNER, Purpose.STREAM)).pipe
    pipe.write(opening)
    async with asyncio.timeout(30):
        await pipe.closed()
