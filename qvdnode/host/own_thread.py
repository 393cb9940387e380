"""Runs work in a new thread that ends with it.

For work that changes its thread (a network namespace, a filter of system calls), so that nothing
else ever runs in that thread, and for work that may hang: an executor has few threads, and the
process waits for them at its end.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from qvdnode.model.errors import FarmError

T = TypeVar("T")


def in_own_thread(work: Callable[[], T], *, name: str) -> "asyncio.Future[T]":
    """Run it in a new thread of that name; the future has its result or its error.

    Cancelling the future does not interrupt the work. The process does not wait for it at its end.
    """
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()  # it cannot be cancelled any more, only be forgotten

    def run() -> None:
        try:
            answer.set_result(work())
        except (OSError, FarmError) as error:
            answer.set_exception(error)
        except BaseException as error:
            answer.set_exception(error)
            raise

    threading.Thread(target=run, name=name, daemon=True).start()
    return asyncio.wrap_future(answer)
