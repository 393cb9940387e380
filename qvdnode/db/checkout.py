"""Checks a connection out of the pool and returns it, with the error of its use if any."""

from collections.abc import Callable
from types import TracebackType

from qvdnode.db.raw import RawConnection

PutBack = Callable[[RawConnection, BaseException | None], None]


class Checkout:
    """A scope that returns the connection to the pool at its end."""

    __slots__ = ("_put_back", "_raw")

    def __init__(self, raw: RawConnection, put_back: PutBack) -> None:
        self._raw = raw
        self._put_back = put_back

    def __enter__(self) -> RawConnection:
        """The connection."""
        return self._raw

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Return it to the pool."""
        self._put_back(self._raw, error)
