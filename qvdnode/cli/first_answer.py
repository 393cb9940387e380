"""Asks several nodes at once, with a head start for the earlier ones, as browsers do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

HEAD_START_S: Final = 0.25
"""So long a node is silent before the next one is asked beside it."""


async def first_answer(
    questions: Sequence[Callable[[], Awaitable[object]]], head_start_s: float = HEAD_START_S
) -> int | None:
    """The number of the first question that is answered; None when all fail.

    A question that fails by any Exception makes room for the next one at once. Those that are still
    open at the end are cancelled.
    """
    loop = asyncio.get_running_loop()
    open_ones: dict[asyncio.Future[object], int] = {}
    waiting = list(enumerate(questions))
    try:
        while waiting or open_ones:
            if waiting:
                number, question = waiting.pop(0)
                task = loop.create_task(_asked(question))  # allowed: awaited below
                open_ones[task] = number
            done, _ = await asyncio.wait(
                open_ones,
                timeout=head_start_s if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            answered = sorted(open_ones[one] for one in done if one.exception() is None)
            if answered:
                return answered[0]
            for one in done:
                del open_ones[one]
        return None
    finally:
        for one in open_ones:
            one.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)


async def _asked(question: Callable[[], Awaitable[object]]) -> object:
    return await question()
