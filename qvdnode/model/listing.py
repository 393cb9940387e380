"""Pages of long lists."""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

PAGE_SIZE: Final = 100
PAGE_SIZE_MAX: Final = 1_000
COUNT_MAX: Final = 50_000
"""Matching rows are counted up to this number."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: at most `limit` items that follow `after` in the list's order."""

    limit: int = PAGE_SIZE
    after: int | str = 0
    """The `next_after` of the page before; 0 for the first page."""
    q: str | None = None
    """Only items with a name that begins so, whatever the case."""
    sort: str = "id"
    """The field that the list is sorted by; with a - before it, backwards."""

    def __post_init__(self) -> None:
        """Refuse limits nobody should ask for."""
        if not 1 <= self.limit <= PAGE_SIZE_MAX:
            raise ValueError(f"limit must be 1..{PAGE_SIZE_MAX}, not {self.limit}")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page; `next_after` is where the next one begins, None at the end."""

    items: tuple[T, ...]
    next_after: int | str | None
    total: int = 0
    """How many items match on all pages; COUNT_MAX for that many or more."""
