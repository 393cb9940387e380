import asyncio
import contextlib

import pytest

from qvdnode.runtime.time_limit import TimeLimit


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_what_is_quick_enough_is_left_alone() -> None:
    async with TimeLimit(60):
        await asyncio.sleep(0)


async def test_what_takes_too_long_is_broken_off() -> None:
    with pytest.raises(TimeoutError):
        async with TimeLimit(0.01):
            await for_ever()


async def test_none_is_no_limit_until_it_is_ended() -> None:
    async def work() -> None:
        async with TimeLimit(None) as limit:
            await asyncio.sleep(0)
            limit.end_now()
            await for_ever()

    with pytest.raises(TimeoutError):
        await work()


async def test_an_error_of_the_body_goes_through() -> None:
    with pytest.raises(OSError, match="busy"):
        async with TimeLimit(60):
            raise OSError("busy")


async def test_it_holds_in_the_clean_up_of_a_cancelled_task() -> None:
    begun, steps = asyncio.Event(), list[str]()

    async def work() -> None:
        try:
            begun.set()
            await for_ever()
        finally:
            with contextlib.suppress(TimeoutError):
                async with TimeLimit(0.01):
                    await for_ever()
            steps.append("killed what did not end")

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["killed what did not end"]


@pytest.mark.parametrize("cancelled_before", [False, True])
@pytest.mark.parametrize("seconds", [0.0, 60.0])
async def test_a_cancellation_inside_is_no_time_out(cancelled_before: bool, seconds: float) -> None:
    """Also one that comes in the same turn as the limit."""
    begun = asyncio.Event()

    async def limited() -> None:
        async with TimeLimit(seconds):
            begun.set()
            await for_ever()

    async def work() -> None:
        if not cancelled_before:
            return await limited()
        try:
            own.cancel()
            await for_ever()
        finally:
            await limited()

    own = asyncio.create_task(work())
    await begun.wait()
    own.cancel()
    with pytest.raises(asyncio.CancelledError):
        await own
