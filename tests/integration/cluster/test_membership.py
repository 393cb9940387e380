import asyncio
import secrets
import socket
import struct
import threading

import pytest

from qvdnode.cluster.core.swim.effects import MemberEvent, NameConflict
from qvdnode.cluster.core.swim.machine import Identity
from qvdnode.cluster.gossip_port import GossipPort
from qvdnode.cluster.keyring import Keyring
from qvdnode.cluster.membership import Membership, new_instance
from qvdnode.cluster.swim_shell import DROPPED, REFUSED
from qvdnode.cluster.swim_stream import HEADER_BYTES, MESSAGE_MAX_BYTES, seal_datagram
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import SystemClock
from qvdnode.wire.swim import (
    Address,
    Exchange,
    Incarnation,
    Ping,
    Sender,
    encode,
    encode_header,
    farm_tag,
)
from tests.integration.cluster.conftest import FARM, KEY, MakeNode, Node
from tests.waiting import until

E = MemberEvent


async def three(make_node: MakeNode) -> tuple[Node, Node, Node]:
    first = await make_node("a")
    second = await make_node("b", [first])
    third = await make_node("c", [first])
    await until(lambda: first.up() == {"b", "c"} and second.up() == {"a", "c"})
    await until(lambda: third.up() == {"a", "b"})
    return first, second, third


def counted(reason: str) -> float:
    return float(REFUSED.labels(reason)._value.get())


def send_udp(node: Node, data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, node.address)


def sealed_by(key: bytes, *messages: bytes, farm: str = FARM) -> bytes:
    sender = Sender("stranger", Incarnation(1, b"12345678", 0))
    return seal_datagram(
        Keyring(farm, [key]), b"".join((encode_header(farm_tag(farm), sender), *messages))
    )


async def test_members_find_each_other_and_hear_what_one_announces(make_node: MakeNode) -> None:
    first, second, third = await three(make_node)
    assert first.membership.known["b"].metadata == b"b"
    second.membership.announce(b"other")
    await until(lambda: first.membership.known["b"].metadata == b"other")
    await until(lambda: third.membership.known["b"].metadata == b"other")


async def test_a_member_that_leaves_is_not_declared_dead(make_node: MakeNode) -> None:
    first, second, third = await three(make_node)
    await third.membership.stop()
    await until(lambda: first.up() == {"b"} and second.up() == {"a"})
    assert first.changes("c") == [E.JOINED, E.LEFT]
    assert second.changes("c") == [E.JOINED, E.LEFT]


@pytest.mark.timeout(20)
async def test_a_start_that_is_cancelled_can_be_stopped() -> None:
    """As when a node is told to stop while it starts: its thread must not stay behind."""
    port = GossipPort.open("127.0.0.1", 0)
    identity = Identity(FARM, "a", Address("127.0.0.1", port.number), 1, new_instance())
    membership = Membership(identity, port, Keyring(FARM, [KEY]), SystemClock(), print)
    start = asyncio.ensure_future(membership.start([]))
    await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    await membership.stop()
    assert port.tcp.fileno() == -1


@pytest.mark.timeout(40)
async def test_a_member_that_vanishes_is_declared_dead_and_may_come_back(
    make_node: MakeNode,
) -> None:
    first, second, third = await three(make_node)
    await third.membership.stop(announce_leave=False)
    await until(lambda: first.deaths() == second.deaths() == ["c"], limit_s=30)
    again = await make_node("c", [first], epoch=2, address=third.address)
    await until(lambda: first.up() == {"b", "c"} and second.up() == {"a", "c"})
    await until(lambda: again.up() == {"a", "b"})
    assert first.changes("c")[-1] is E.JOINED


async def test_a_restart_is_noticed_before_the_old_process_is_missed(
    make_node: MakeNode,
) -> None:
    first, _, third = await three(make_node)
    await third.membership.stop(announce_leave=False)
    await make_node("c", [first], epoch=2, address=third.address)
    await until(lambda: first.changes("c")[-1] is E.RESTARTED)


@pytest.mark.timeout(40)
async def test_a_blocked_main_loop_makes_no_member_look_dead(make_node: MakeNode) -> None:
    first, second, third = await three(make_node)
    # Held by no timer of this loop: it is this loop that is blocked, with the members' threads on.
    threading.Event().wait(8.0)
    assert [node.deaths() for node in (first, second, third)] == [[], [], []]
    assert all(E.SUSPECTED not in node.changes(name) for node in (first, second) for name in "abc")


async def test_a_member_of_another_farm_or_key_is_refused(make_node: MakeNode) -> None:
    first, _, _ = await three(make_node)
    before = counted("forged")
    other_farm = await make_node("d", [first], farm="another")
    other_key = await make_node("e", [first], keys=[secrets.token_bytes(32)])
    await until(lambda: counted("forged") >= before + 2)
    assert not other_farm.up()
    assert not other_key.up()
    assert first.up() == {"b", "c"}


async def test_a_key_is_changed_while_the_farm_works(make_node: MakeNode) -> None:
    nodes = await three(make_node)
    ring = Keyring(FARM, [KEY])
    new = secrets.token_bytes(16)
    for step in (
        ring.with_key(new, first=False),
        ring.with_key(new, first=True),
        ring.with_key(new, first=True).without_key(KEY),
    ):
        for node in nodes:
            node.membership.set_keyring(step)
    late = await make_node("d", nodes, keys=[new])
    await until(lambda: late.up() == {"a", "b", "c"})
    assert not [death for node in nodes for death in node.deaths()]


async def test_garbage_and_forged_packets_are_counted_and_change_nothing(
    make_node: MakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    first, _, _ = await three(make_node)
    before = {reason: counted(reason) for reason in ("forged", "malformed", "too_large")}
    caplog.clear()
    for _ in range(50):
        send_udp(first, secrets.token_bytes(100))
        send_udp(first, sealed_by(secrets.token_bytes(32), encode(Ping(1, "a"))))
    send_udp(first, sealed_by(KEY, b"\xc1"))
    send_udp(first, bytes(1401))
    await until(lambda: counted("forged") == before["forged"] + 100)
    await until(lambda: counted("malformed") == before["malformed"] + 1)
    await until(lambda: counted("too_large") == before["too_large"] + 1)
    assert first.up() == {"b", "c"}
    assert not caplog.records


async def dial(node: Node, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*node.address)
    try:
        writer.write(data)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def test_streams_without_a_key_of_the_farm_are_closed_after_the_header(
    make_node: MakeNode,
) -> None:
    first, _, _ = await three(make_node)
    before = counted("forged"), counted("too_large"), counted("slow")
    assert await dial(first, secrets.token_bytes(HEADER_BYTES)) == b""
    too_long = struct.pack(">I", MESSAGE_MAX_BYTES + 1)
    ring = Keyring(FARM, [KEY])
    assert await dial(first, seal_datagram(ring, too_long)) == b""
    assert await dial(first, b"never more than this") == b""
    assert (counted("forged"), counted("too_large"), counted("slow")) == tuple(
        count + 1 for count in before
    )
    assert first.up() == {"b", "c"}


async def test_a_stream_that_asks_nothing_gets_no_answer(make_node: MakeNode) -> None:
    first, _, _ = await three(make_node)
    ring = Keyring(FARM, [KEY])
    for body in (sealed_by(KEY, encode(Ping(1, "somebody else"))), sealed_by(KEY, b"\xc1")):
        header = seal_datagram(ring, struct.pack(">I", len(body)))
        assert await dial(first, header + body) == b""


async def test_an_exchange_is_answered_in_pieces_too(make_node: MakeNode) -> None:
    first, _, _ = await three(make_node)
    body = sealed_by(KEY, encode(Exchange(joining=True, records=())))
    data = seal_datagram(Keyring(FARM, [KEY]), struct.pack(">I", len(body))) + body
    reader, writer = await asyncio.open_connection(*first.address)
    for at in range(0, len(data), 40):
        writer.write(data[at : at + 40])
        await writer.drain()
        await asyncio.sleep(0)
    assert len(await reader.read()) > HEADER_BYTES
    writer.transport.abort()


@pytest.mark.timeout(40)
async def test_two_nodes_with_one_name_are_reported(make_node: MakeNode) -> None:
    first, second, third = await three(make_node)
    rival = await make_node("c", [first], epoch=2)
    nodes = (first, second, third, rival)

    def told() -> bool:
        return any(isinstance(event, NameConflict) for node in nodes for event in node.events)

    await until(told, limit_s=30)


async def test_a_port_in_use_is_reported_in_a_sentence(make_node: MakeNode) -> None:
    first = await make_node("a")
    with pytest.raises(HostFailed, match="cannot listen on"):
        await make_node("b", address=first.address)


async def test_no_thread_is_left_behind(make_node: MakeNode) -> None:
    first, _, third = await three(make_node)
    assert any(thread.name.startswith("gossip") for thread in threading.enumerate())
    for node in (first, third):
        await node.membership.stop(announce_leave=False)
        await node.membership.wait()
        node.membership.announce(b"too late")


async def test_members_may_have_ipv6_addresses(make_node: MakeNode) -> None:
    port = 20000 + secrets.randbelow(10000)
    first = await make_node("a", address=Address("::1", port))
    second = await make_node("b", [first], address=Address("::1", port + 1))
    await until(lambda: first.up() == {"b"} and second.up() == {"a"})
    second.membership.announce(b"over UDP")
    await until(lambda: first.membership.known["b"].metadata == b"over UDP")


async def test_packets_beyond_the_send_buffer_are_dropped_and_counted(make_node: MakeNode) -> None:
    first, second, _ = await three(make_node)
    running = first.membership._running
    assert running is not None

    def dropped() -> float:
        return float(DROPPED.labels("datagram")._value.get())

    before = dropped()
    running.loop.call_soon_threadsafe(running.shell.pause_writing)
    first.membership.announce(b"unheard")
    await until(lambda: dropped() > before)
    running.loop.call_soon_threadsafe(running.shell.resume_writing)
    first.membership.announce(b"heard")
    await until(lambda: second.membership.known["a"].metadata == b"heard")
