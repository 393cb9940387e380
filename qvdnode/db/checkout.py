"""One use of a pooled connection: it goes back at the end, with word of how the use went."""

from collections.abc import Callable
from types import TracebackType

from qvdnode.db.raw import RawConnection

PutBack = Callable[[RawConnection, BaseException | None], None]


class Checkout:
    """Leaving the scope gives the connection back."""

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
        """Give it back."""
        self._put_back(self._raw, error)
