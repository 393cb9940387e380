import asyncio
import logging

import pytest

from qvdnode.runtime.supervise import Supervisor, contained


async def fail() -> None:
    raise ValueError("bad guest")


async def forever(ended: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(name)


async def test_an_isolated_failure_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    with caplog.at_level(logging.ERROR):
        async with Supervisor("node") as scope:
            await scope.isolated("guest", fail())
            await scope.isolated("other", work())
    assert done == ["work"]
    assert [record.getMessage() for record in caplog.records] == ["task_failed"]
    assert vars(caplog.records[0])["task"] == "node/guest"


async def test_an_essential_failure_ends_the_scope() -> None:
    ended: list[str] = []

    async def serve() -> None:
        async with Supervisor("node") as scope:
            _ = scope.isolated("guest", forever(ended, "guest"))
            await asyncio.sleep(0)
            _ = scope.essential("listener", fail())
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await serve()
    assert caught.group_contains(ValueError, match="bad guest")
    assert ended == ["guest"]


async def test_leaving_the_scope_ends_every_task() -> None:
    ended: list[str] = []
    async with Supervisor("node") as scope:
        _ = scope.isolated("guest", forever(ended, "guest"))
        _ = scope.essential("listener", forever(ended, "listener"))
        await asyncio.sleep(0)
    assert sorted(ended) == ["guest", "listener"]


async def test_a_task_that_starts_another_while_ending_leaves_none_behind() -> None:
    late: list[asyncio.Task[None]] = []

    async def mother(scope: Supervisor) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            late.append(scope.isolated("late", forever([], "late")))

    async with asyncio.timeout(5):
        async with Supervisor("node") as scope:
            _ = scope.isolated("mother", mother(scope))
            await asyncio.sleep(0)
    assert late[0].cancelled()


async def test_a_task_started_after_an_essential_failure_is_ended_too() -> None:
    late: list[asyncio.Task[None]] = []

    async def mother(scope: Supervisor) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            late.append(scope.isolated("late", forever([], "late")))

    async def serve() -> None:
        async with Supervisor("node") as scope:
            _ = scope.isolated("mother", mother(scope))
            _ = scope.essential("listener", fail())
            await asyncio.Event().wait()

    async with asyncio.timeout(5):
        with pytest.raises(ExceptionGroup):
            await serve()
    assert late[0].cancelled()


async def test_a_cancelled_scope_ends_its_tasks() -> None:
    ended: list[str] = []

    async def serve() -> None:
        async with Supervisor("node") as scope:
            _ = scope.essential("listener", forever(ended, "listener"))
            await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["listener"]


async def test_tasks_are_named_after_their_scope() -> None:
    async with Supervisor("node") as scope:
        task = scope.isolated("guest", forever([], "guest"))
        assert task.get_name() == "node/guest"


def test_a_contained_error_is_logged_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    with contained("sweep_failed", vm=7) as failing:
        int("busy")
    with contained("sweep_failed", vm=8) as fine:
        pass
    assert (failing.failed, fine.failed) == (True, False)
    (record,) = caplog.records
    assert (record.getMessage(), vars(record)["vm"]) == ("sweep_failed", 7)
    assert record.exc_info is not None
