"""The one way to wait in a test: for a condition, with a deadline, never for luck."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

PAUSE_S: Final = 0.01
LIMIT_S: Final = 30.0
"""Only a test that fails waits as long; a machine with other work can take ten times its time."""

T = TypeVar("T")


@overload
async def until(
    condition: Callable[[], Awaitable[T]], *, limit_s: float = ..., what: str = ...
) -> T: ...


@overload
async def until(condition: Callable[[], T], *, limit_s: float = ..., what: str = ...) -> T: ...


async def until(condition: Callable[[], Any], *, limit_s: float = LIMIT_S, what: str = "") -> Any:
    """What the condition gives once it is true; fails the test after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        outcome = condition()
        value = await outcome if inspect.isawaitable(outcome) else outcome
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {limit_s:g} s for {what or condition}")
        await asyncio.sleep(PAUSE_S)


def until_sync(condition: Callable[[], T], *, limit_s: float = LIMIT_S, what: str = "") -> T:
    """The same for a test without a loop."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {limit_s:g} s for {what or condition}")
        time.sleep(PAUSE_S)
