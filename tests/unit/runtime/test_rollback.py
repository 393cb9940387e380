import asyncio
from collections.abc import Awaitable, Callable

import pytest

from qvdnode.runtime.rollback import Rollback


def step(done: list[str], name: str) -> Callable[[], Awaitable[object]]:
    async def undo() -> None:
        done.append(name)

    return undo


async def test_a_failure_undoes_every_step_in_reverse() -> None:
    undone: list[str] = []

    async def start() -> None:
        async with Rollback() as rollback:
            rollback.undo(step(undone, "lease"))
            rollback.undo(step(undone, "mount"))
            raise RuntimeError("launch failed")

    with pytest.raises(RuntimeError, match="launch failed"):
        await start()
    assert undone == ["mount", "lease"]


async def test_what_is_committed_stays() -> None:
    undone: list[str] = []
    async with Rollback() as rollback:
        rollback.undo(step(undone, "lease"))
        rollback.commit()
    assert undone == []


async def test_a_scope_left_without_commit_is_undone() -> None:
    undone: list[str] = []
    async with Rollback() as rollback:
        rollback.undo(step(undone, "lease"))
    assert undone == ["lease"]


async def test_a_failed_undo_does_not_keep_the_others_from_running() -> None:
    undone: list[str] = []

    async def broken() -> None:
        raise OSError("busy")

    async def start() -> None:
        async with Rollback() as rollback:
            rollback.undo(step(undone, "lease"))
            rollback.undo(broken)
            raise RuntimeError("launch failed")

    with pytest.raises(OSError, match="busy") as caught:
        await start()
    assert undone == ["lease"]
    assert isinstance(caught.value.__context__, RuntimeError)


async def test_steps_after_a_commit_are_undone_again() -> None:
    undone: list[str] = []
    async with Rollback() as rollback:
        rollback.undo(step(undone, "lease"))
        rollback.commit()
        rollback.undo(step(undone, "mount"))
    assert undone == ["mount"]


async def test_cancellation_undoes_to_the_end() -> None:
    undone: list[str] = []
    ready = asyncio.Event()

    async def start() -> None:
        async with Rollback() as rollback:
            rollback.undo(step(undone, "lease"))
            rollback.undo(step(undone, "mount"))
            ready.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(start())
    await ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == ["mount", "lease"]


async def test_a_second_cancellation_waits_for_the_undo() -> None:
    undone: list[str] = []
    undoing, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        undoing.set()
        await go_on.wait()
        undone.append("mount")

    async def start() -> None:
        async with Rollback() as rollback:
            rollback.undo(step(undone, "lease"))
            rollback.undo(slow)
            raise RuntimeError("launch failed")

    task = asyncio.create_task(start())
    await undoing.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == ["mount", "lease"]
