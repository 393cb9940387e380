"""Pages of long lists."""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

PAGE_SIZE: Final = 100
PAGE_SIZE_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: at most `limit` items whose id is greater than `after`."""

    limit: int = PAGE_SIZE
    after: int = 0

    def __post_init__(self) -> None:
        """Refuse limits nobody should ask for."""
        if not 1 <= self.limit <= PAGE_SIZE_MAX:
            raise ValueError(f"limit must be 1..{PAGE_SIZE_MAX}, not {self.limit}")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page; `next_after` is the id to continue from, None at the end."""

    items: tuple[T, ...]
    next_after: int | None
