"""A timeout that also works while a cancelled task cleans up.

In Python 3.11.2, which is Debian 12's, asyncio's own timeout raises CancelledError in place of
TimeoutError if its task was cancelled before, so clean-up that handles TimeoutError is skipped: a
child that ignored SIGTERM was never killed.
"""

import asyncio
from types import TracebackType
from typing import Self


class TimeLimit:
    """`async with TimeLimit(seconds):` raises TimeoutError when the body takes longer.

    None means no limit yet. A cancellation from outside stays a CancelledError.
    """

    __slots__ = ("_cancels_before", "_scope", "_task")

    def __init__(self, seconds: float | None) -> None:
        self._scope = asyncio.timeout(seconds)

    def end_now(self) -> None:
        """Let the limit expire in the next iteration of the loop."""
        self._scope.reschedule(0)

    async def __aenter__(self) -> Self:
        """Begin to count. Raises RuntimeError outside of a task."""
        await self._scope.__aenter__()
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("asyncio.timeout has refused that")
        self._task, self._cancels_before = task, task.cancelling()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise TimeoutError if this limit, and nothing else, cancelled the body."""
        await self._scope.__aexit__(kind, error, trace)
        if (
            isinstance(error, asyncio.CancelledError)
            and self._scope.expired()
            and self._task.cancelling() <= self._cancels_before
        ):
            raise TimeoutError from error
