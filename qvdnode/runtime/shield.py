"""Shields work from cancellation: a cancelled caller first waits until it has ended."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def run_shielded(work: Coroutine[Any, Any, T]) -> T:
    """Await work that must not be interrupted, such as a thread that mounts.

    A cancellation takes effect after the work has ended; its result or error is then dropped.
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
