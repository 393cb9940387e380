"""Who is let in at the peer port, over real sockets, and what the others are told."""

import asyncio
import os
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from qvdnode.db.nodes import NodePorts
from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.peer import hello
from qvdnode.peer.dialer import open_pipe
from qvdnode.peer.ports import Purpose
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.tls.farm_authority import (
    FarmAuthority,
    client_context,
    new_node_key,
    public_key,
)
from qvdnode.tls.stream_pipe import StreamPipe
from qvdnode.wire.peer_hello import VERSION, Hello, HelloAnswer
from tests.integration.peer.conftest import MakeNode
from tests.integration.peer.peer_farm import LOOPBACK, PeerNode, echoed
from tests.waiting import until

pytestmark = pytest.mark.postgres

LIMIT_S = 5.0


async def opened(node: PeerNode, context: ssl.SSLContext) -> StreamPipe:
    """A TLS connection to the node's peer port."""
    pipe = await open_pipe(context, LOOPBACK, node.port, TickBatch())
    async with asyncio.timeout(LIMIT_S):
        await pipe.ready()
    return pipe


async def answer(node: PeerNode, context: ssl.SSLContext, greeting: Hello) -> HelloAnswer:
    """What the node answers to that hello."""
    pipe = await opened(node, context)
    try:
        hello.send(pipe, greeting)
        async with asyncio.timeout(LIMIT_S):
            return await hello.receive(pipe, HelloAnswer)
    finally:
        pipe.abort()


def greeting(node: PeerNode, **changes: object) -> Hello:
    """A hello as that node says it."""
    plain = Hello(
        VERSION, VERSION, node.own.member.farm_id, Purpose.CALLS, "1.0", hello.time_ms(node.clock)
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # names are checked


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"farm": "another"}, "this node is of another farm"),
        ({"purpose": "tea"}, "does not serve 'tea'"),
        ({"purpose": "join"}, "does not serve 'join'"),
        ({"oldest": 7, "newest": 8}, "upgrade this node"),
        ({"oldest": 0, "newest": 0}, "upgrade the older one"),
    ],
    ids=str,
)
async def test_a_node_that_says_something_odd_is_told_why_it_is_refused(
    first: PeerNode, second: PeerNode, changes: dict[str, object], because: str
) -> None:
    said = await answer(first, second.own.client_context(), greeting(second, **changes))
    assert said.version == 0
    assert because in said.refusal
    assert first.echo.served == []


async def test_a_newer_node_is_spoken_with_in_the_older_version(
    first: PeerNode, second: PeerNode
) -> None:
    said = await answer(first, second.own.client_context(), greeting(second, newest=VERSION + 1))
    assert said.version == VERSION


async def test_who_shows_no_certificate_can_only_ask_to_join(first: PeerNode) -> None:
    for purpose in (Purpose.CALLS, Purpose.STREAM, Purpose.DATABASE):
        said = await answer(first, client_context(None), greeting(first, purpose=purpose))
        assert "a certificate of this farm is needed" in said.refusal
    said = await answer(first, client_context(None), greeting(first, purpose=Purpose.JOIN))
    assert said.authority == first.own.member.authority
    assert first.echo.served == []


def signed(folder: Path, authority: FarmAuthority, farm: FarmId, node_id: int) -> ssl.SSLContext:
    """The context of a client with a certificate of that authority and a key of its own."""
    key = new_node_key()
    now = SystemClock().now()
    (folder / "key").write_bytes(key)
    (folder / "crt").write_bytes(authority.sign(public_key(key), farm, NodeId(node_id), now))
    return client_context(None, folder / "crt", folder / "key")


async def test_a_certificate_of_another_authority_does_not_shake_hands(
    first: PeerNode, tmp_path: Path
) -> None:
    farm = first.own.member.farm_id
    context = signed(tmp_path, FarmAuthority.new(farm, SystemClock().now()), farm, 1)
    with pytest.raises((ConnectionError, EOFError)):
        await answer(first, context, greeting(first))


async def test_a_certificate_that_a_stolen_authority_signed_opens_nothing(
    first: PeerNode, second: PeerNode, tmp_path: Path
) -> None:
    """The rows have the keys of the nodes: a node that was removed cannot become another one."""
    hidden = await second.enrolment.secrets()
    member = second.own.member
    authority = FarmAuthority(member.authority.encode(), hidden.authority_key)
    for node_id, because in ((1, "has another key"), (77, "not in this farm")):
        context = signed(tmp_path, authority, member.farm_id, node_id)
        said = await answer(first, context, greeting(first))
        assert because in said.refusal
    assert first.echo.served == []


async def test_garbage_and_frames_without_end_are_closed(first: PeerNode, second: PeerNode) -> None:
    for sent in (os.urandom(64), b"\xff\xff\xff\xff", b"\x00\x00\x10\x00" + b"x" * 100, b"\x00"):
        pipe = await opened(first, second.own.client_context())
        pipe.write(sent)
        with pytest.raises((EOFError, ConnectionError)):
            async with asyncio.timeout(LIMIT_S):
                await pipe.read_exactly(1)
        pipe.close()
    reader, writer = await asyncio.open_connection(LOOPBACK, first.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1024)
    writer.close()
    assert await echoed(second, first) == b"ping"


async def test_who_says_nothing_goes_after_a_while(first: PeerNode, second: PeerNode) -> None:
    pipe = await opened(first, second.own.client_context())
    with pytest.raises((EOFError, ConnectionError)):
        async with asyncio.timeout(LIMIT_S):
            await pipe.read_exactly(1)
    pipe.close()


async def test_a_flood_of_strangers_keeps_no_node_out(first: PeerNode, second: PeerNode) -> None:
    """The oldest of an address goes, and a node has proved to be one before that."""
    strangers = [await asyncio.open_connection(LOOPBACK, first.port) for _ in range(40)]
    assert await echoed(second, first) == b"ping"
    for _, writer in strangers:
        writer.close()


async def test_a_node_that_shows_an_expired_certificate_is_told(
    first: PeerNode, second: PeerNode
) -> None:
    """It renews it when it starts, as it does every day."""
    hidden, member = await second.enrolment.secrets(), second.own.member
    authority = FarmAuthority(member.authority.encode(), hidden.authority_key)
    spki = public_key(second.own.files.key_pem())
    long_ago = SystemClock().now() - timedelta(days=200)
    second.own.files.keep_certificate(
        authority.sign(spki, member.farm_id, second.seat.node_id, long_ago)
    )
    assert second.own.load()
    with pytest.raises(Unavailable, match="a certificate has expired"):
        await second.dialer.dial(first.seat.node_id, Purpose.CALLS)
    await second.enrolment.renew()
    await until(lambda: can_reach(second, first), limit_s=30)


async def can_reach(node: PeerNode, other: PeerNode) -> bool:
    """Whether it can."""
    try:
        return await echoed(node, other) == b"ping"
    except Unavailable:
        return False


async def test_two_nodes_with_one_address_are_told_apart(
    first: PeerNode, second: PeerNode, make_node: MakeNode
) -> None:
    third = make_node("three")
    await third.invited_by(first)
    await third.enter()
    await first.nodes.join(
        "three", "boot-1", LOOPBACK, ports=NodePorts(peer=second.port), node_id=third.seat.node_id
    )
    await first.directory.refresh()
    with pytest.raises(Unavailable, match="two nodes have one address"):
        await first.dialer.dial(third.seat.node_id, Purpose.CALLS)


async def test_a_garbled_answer_is_told(first: PeerNode, second: PeerNode) -> None:
    """As by a program of another kind on the port."""

    def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        writer.close()

    server = await asyncio.start_server(talk, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    await first.nodes.join(
        "two", "boot-1", LOOPBACK, ports=NodePorts(peer=port), node_id=second.seat.node_id
    )
    await first.directory.refresh()
    with pytest.raises(Unavailable, match="is that the peer port"):
        await first.dialer.dial(second.seat.node_id, Purpose.CALLS)
    server.close()
