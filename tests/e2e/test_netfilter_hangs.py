"""A node whose packet filter does not answer: it says so, goes on with what it can, and ends."""

import asyncio
import ctypes
import fcntl
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.conftest import MakeDesk
from tests.e2e.test_inherited_descriptors import netfilter_sockets
from tests.harness.node import NodeProcess
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIDFD_GETFD = 438
LIBC = ctypes.CDLL(None, use_errno=True)
NOTICED_S = 40.0
END_S = 20.0
"""A node that waited for the call would not end at all."""


@pytest_asyncio.fixture(loop_scope="session")
async def stuck(node: NodeProcess, rest: Rest) -> AsyncIterator[NodeProcess]:
    """The node with its netfilter socket made blocking, as whoever shares the socket can do it."""
    assert node.process is not None
    make_blocking(node.process.pid)
    yield node
    if node.process.returncode is None:
        await node.stop()
    await node.start()


def make_blocking(pid: int) -> None:
    """Let the next call of libnftables wait for an answer that does not come."""
    (inode,) = netfilter_sockets(pid)
    holder = os.pidfd_open(pid)
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            if str(entry.readlink()) != f"socket:[{inode}]":
                continue
            taken = LIBC.syscall(PIDFD_GETFD, holder, int(entry.name), 0)
            assert taken >= 0
            flags = fcntl.fcntl(taken, fcntl.F_GETFL)
            fcntl.fcntl(taken, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
            os.close(taken)
    finally:
        os.close(holder)


async def test_it_is_noticed_and_desktops_start_again(
    stuck: NodeProcess, make: MakeDesk, rest: Rest
) -> None:
    async def readyz_is(status: int) -> bool:
        return await rest.status("/readyz") == status

    await until(lambda: readyz_is(503), limit_s=NOTICED_S, what="/readyz to tell of it")
    assert await rest.metric("qvdnode_nft_timeouts_total") >= 1
    await until(lambda: readyz_is(200), limit_s=NOTICED_S, what="a later call to succeed")
    desk = await make()
    async with desk.dial() as connection:
        assert (await connection.connect(desk.vm_id)).status == 101


async def test_the_node_ends_in_time_while_a_call_hangs(stuck: NodeProcess, make: MakeDesk) -> None:
    desk = await make()
    assert stuck.process is not None
    async with desk.dial() as connection:
        starting = asyncio.ensure_future(connection.connect(desk.vm_id))
        await until(
            lambda: any(event["vm"] == desk.vm_id for event in stuck.events("vm_state")),
            what="the start",
        )
        stuck.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(stuck.process.wait(), END_S)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
    assert stuck.process.returncode == 0
