import asyncio

import pytest

from qvdnode.runtime.to_its_end import to_its_end


async def test_the_result_comes_back() -> None:
    async def work() -> int:
        return 7

    assert await to_its_end(work()) == 7


async def test_the_error_comes_back() -> None:
    async def work() -> None:
        raise OSError("busy")

    with pytest.raises(OSError, match="busy"):
        await to_its_end(work())


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_caller_waits_for_the_work(fails: bool) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def work() -> None:
        begun.set()
        await go_on.wait()
        done.append("mounted")
        if fails:
            raise OSError("busy")

    caller = asyncio.create_task(to_its_end(work()))
    await begun.wait()
    for _ in range(2):
        caller.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not caller.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert done == ["mounted"]
