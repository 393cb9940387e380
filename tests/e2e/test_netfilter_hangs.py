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
    """The node in a call of libnftables that does not return.

    Its socket was made blocking, which whoever shares the socket can do. The node's own check of
    the rules comes to it within 10 s.
    """
    assert node.process is not None
    pid = node.process.pid
    number = make_blocking(pid)
    await until(lambda: hangs(pid, number), limit_s=NOTICED_S, what="a call to hang")
    yield node
    if node.process.returncode is None:
        await node.stop()
    await node.start()


def hangs(pid: int, number: int) -> bool:
    """Whether a thread of the process is in a system call on that descriptor."""
    calls = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/syscall")]
    return any(len(call) > 1 and int(call[1], 16) == number for call in calls)


def make_blocking(pid: int) -> int:
    """Let libnftables wait for an answer that does not come; the number of its socket there."""
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
            return int(entry.name)
    finally:
        os.close(holder)
    raise AssertionError("libnftables has no socket open")


async def test_it_is_noticed_and_desktops_start_again(
    stuck: NodeProcess, make: MakeDesk, rest: Rest
) -> None:
    async def readyz_is(status: int) -> bool:
        return await rest.status("/readyz") == status

    async def was_abandoned() -> bool:
        return await rest.metric("qvdnode_nft_timeouts_total") >= 1

    await until(lambda: readyz_is(503), limit_s=NOTICED_S, what="/readyz to tell of it")
    await until(was_abandoned, limit_s=NOTICED_S, what="the call to be abandoned")
    await until(lambda: readyz_is(200), limit_s=NOTICED_S, what="a later call to succeed")
    desk = await make()
    async with desk.dial() as connection:
        assert (await connection.connect(desk.vm_id)).status == 101


async def test_the_node_ends_in_time_while_a_call_hangs(stuck: NodeProcess) -> None:
    assert stuck.process is not None
    stuck.process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(stuck.process.wait(), END_S)
    assert stuck.process.returncode == 0
