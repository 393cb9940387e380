"""Runs a bench so that it always cleans up, also when it is interrupted."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(bench: Coroutine[Any, Any, T]) -> T:
    """Run it and return what it does; SIGTERM, as of `timeout`, cancels it as Ctrl-C does."""
    return asyncio.run(_cancellable(bench))


async def _cancellable(bench: Coroutine[Any, Any, T]) -> T:
    work = asyncio.create_task(bench)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    return await work
