"""Reads one row more than a page holds, to know whether another page follows."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import asyncpg

from qvdnode.model.listing import Listing, Page

T = TypeVar("T")


def limit_of(page: Page) -> int:
    """How many rows to ask for."""
    return page.limit + 1


def listing(
    rows: Sequence[asyncpg.Record], page: Page, convert: Callable[[asyncpg.Record], T]
) -> Listing[T]:
    """The page, and where the next one begins; rows have an `id` and are ordered by it."""
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    return Listing(tuple(map(convert, shown)), int(shown[-1]["id"]) if more else None)
