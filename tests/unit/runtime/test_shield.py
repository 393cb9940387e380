import asyncio

import pytest

from qvdnode.runtime.shield import run_shielded


async def test_the_result_comes_back() -> None:
    async def work() -> int:
        return 7

    assert await run_shielded(work()) == 7


async def test_the_error_comes_back() -> None:
    async def work() -> None:
        raise OSError("busy")

    with pytest.raises(OSError, match="busy"):
        await run_shielded(work())


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

    caller = asyncio.create_task(run_shielded(work()))
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
