"""Makes SIGTERM end a program like Ctrl-C: by cancelling its main task, so that it cleans up."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_signal(work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`; None when SIGINT or SIGTERM ended it first."""

    async def guarded() -> T | None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)  # allowed: the whole program, awaited right here
        asked = False

        def stop() -> None:
            nonlocal asked
            # A second Ctrl-C must not interrupt the clean-up.
            if not asked:
                asked = True
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop)
        try:
            return await task
        except asyncio.CancelledError:
            if not asked:
                raise
            return None

    return asyncio.run(guarded())
