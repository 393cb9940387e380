"""The correlation id, which marks all log lines of one request."""

import contextlib
import secrets
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

correlation_id: Final[ContextVar[str]] = ContextVar("correlation_id", default="")
"""Empty outside of a request. Tasks inherit the id of the task that started them."""


def new_correlation() -> str:
    """An id that no other request has, short enough to read out on the telephone."""
    return secrets.token_hex(6)


@contextlib.contextmanager
def correlated(identity: str | None = None) -> Iterator[str]:
    """Run a request under an id: the given one, or a new one."""
    chosen = identity or new_correlation()
    token = correlation_id.set(chosen)
    try:
        yield chosen
    finally:
        correlation_id.reset(token)
