"""Task supervision: each task belongs to a scope, and has one of two failure modes.

The failure of an essential task ends its scope. The failure of an isolated task (a guest, a session
or a request) is logged and affects nothing else. In a bare TaskGroup one failed session would
cancel all others.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

log = logging.getLogger(__name__)


class Supervisor:
    """Owns every task of one scope; leaving the scope ends them all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def essential(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a service without which the scope must not go on: its failure ends the scope."""
        return self._own(name, self._vital(work), work)

    def isolated(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run one guest, session or request: its failure is logged and stays inside."""
        return self._own(name, _contained(f"{self.name}/{name}", work), work)

    def _own(
        self, name: str, wrapped: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]
    ) -> asyncio.Task[None]:
        # A closing group refuses new tasks: create the task outside of it and cancel it.
        create = asyncio.create_task if self._closing else self._group.create_task
        task = create(wrapped, name=f"{self.name}/{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task cancelled before its first step never awaits its coroutine: close it here.
        task.add_done_callback(lambda _: work.close())
        if self._closing:
            task.cancel()
        return task

    async def _vital(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            self._closing = True
            raise

    def cancel(self) -> None:
        """Ask every task of the scope to end."""
        for task in tuple(self._tasks):
            task.cancel()

    async def __aenter__(self) -> Self:
        """Open the scope."""
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every task that is left, or that these start while ending, and wait for it."""
        self._closing = True
        self.cancel()
        await self._group.__aexit__(kind, error, trace)


@dataclass(slots=True)
class Attempt:
    """The result of a `contained` scope."""

    failed: bool = False


@contextlib.contextmanager
def contained(event: str, **facts: object) -> Iterator[Attempt]:
    """Log an exception of the body as this event, with its traceback, and continue."""
    attempt = Attempt()
    try:
        yield attempt
    except Exception:
        attempt.failed = True
        log.exception(event, extra=facts)


async def _contained(name: str, work: Coroutine[Any, Any, None]) -> None:
    with contained("task_failed", task=name):
        await work
