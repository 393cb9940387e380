import asyncio
import os

import pytest

from qvdnode.host.idmap import Namespaces


async def test_a_cancelled_caller_loses_no_descriptor() -> None:
    opened: list[int] = []
    go_on, has_opened = asyncio.Event(), asyncio.Event()

    async def make(start: int, count: int) -> int:
        opened.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        has_opened.set()
        await go_on.wait()
        return opened[-1]

    namespaces = Namespaces(make)
    caller = asyncio.create_task(namespaces.get(1000, 10))
    await has_opened.wait()
    caller.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    os.close(await namespaces.get(1000, 10))
    assert len(opened) == 1, "it was made twice"
    namespaces.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
