"""Work that is never left half done: a cancelled caller waits for it, then goes."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def run_shielded(work: Coroutine[Any, Any, T]) -> T:
    """Await work that must not be interrupted, such as threads that mount.

    A cancellation takes effect when the work is over; its result or error is then dropped.
    """
    task = asyncio.ensure_future(work)  # noqa: TID251 - awaited to its end right here
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()
        raise
