"""Undoes completed steps in reverse order unless they are committed."""

import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from qvdnode.runtime.shield import run_shielded


class Rollback:
    """Collects one undo per step done; leaving the scope without `commit()` runs them in reverse.

    An undo that fails does not keep the others from running; its error is raised at the end,
    with the original one as context. A cancellation during the undo takes effect after it, since
    an interrupted undo would leak resources.
    """

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()

    def undo(self, step: Callable[[], Awaitable[object]]) -> None:
        """Remember how to undo the step that was just done."""

        async def run() -> None:
            await step()

        self._stack.push_async_callback(run)

    def commit(self) -> None:
        """Keep what was done."""
        self._stack.pop_all()

    async def __aenter__(self) -> Self:
        """Enter the scope."""
        await self._stack.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Undo what is not committed."""
        await run_shielded(self._stack.__aexit__(kind, error, trace))
