"""Datagrams of a size come back from a node of the farm, and from nobody else."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from qvdnode.cluster.core.swim.machine import Identity
from qvdnode.cluster.gossip_port import GossipPort
from qvdnode.cluster.keyring import Forged, Keyring
from qvdnode.cluster.membership import Membership, new_instance
from qvdnode.cluster.reach import ANSWER, HEAD_BYTES, MARK, answer_to, reach_keyring, reaches
from qvdnode.runtime.clock import SystemClock
from qvdnode.wire.swim import Address

LOOPBACK = "127.0.0.1"
RING = reach_keyring("farm", b"k" * 32)
NONCE = bytes(12)


@asynccontextmanager
async def member() -> AsyncIterator[int]:
    """A node of the farm; its port."""
    port = GossipPort.open(LOOPBACK, 0)
    identity = Identity(
        farm="farm", name="node-1", address=Address(LOOPBACK, port.number), epoch=1,
        instance=new_instance(), metadata=b"",
    )  # fmt: skip
    ring = Keyring("farm", [b"g" * 32])
    membership = Membership(identity, port, ring, SystemClock(), lambda event: None, reach=RING)
    await membership.start(())
    try:
        yield port.number
    finally:
        await membership.stop(announce_leave=False)


@pytest.mark.parametrize("size", [HEAD_BYTES, 200, 1400])
async def test_a_node_of_the_farm_answers_with_as_many_bytes(size: int) -> None:
    async with member() as port:
        took_s = await reaches(LOOPBACK, port, size, RING, SystemClock())
    assert took_s is not None
    assert took_s > 0


async def test_nobody_else_gets_an_answer() -> None:
    other = reach_keyring("other", b"k" * 32)
    async with member() as port:
        assert await reaches(LOOPBACK, port, 200, other, SystemClock()) is None


async def test_a_closed_port_is_an_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        await reaches(LOOPBACK, port, 200, RING, SystemClock())


async def test_a_datagram_larger_than_the_way_is_told_at_once() -> None:
    assert await reaches(LOOPBACK, 9, 65_508, RING, SystemClock()) is None


async def test_an_answer_is_no_question() -> None:
    """Two nodes never answer each other for ever."""
    with pytest.raises(Forged):
        answer_to(MARK + RING.seal(ANSWER + b"x", NONCE), RING, NONCE)
    await asyncio.sleep(0)
