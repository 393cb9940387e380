"""Reads pages of lists: searched by prefix, filtered, sorted, counted.

Statements are put together from constant pieces; every value from outside is a parameter. A page in
another order than by id goes on after the last row's place in that order, so a row that is inserted
or deleted meanwhile moves no other one to another page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import asyncpg

from qvdnode.db.pool import Database
from qvdnode.model.errors import NotFound
from qvdnode.model.list_cursor import ID_MAX, BadCursor, ListCursor, decoded
from qvdnode.model.listing import COUNT_MAX, Listing, Page

T = TypeVar("T")

AFTER_ALL: Final = "\U0010ffff"
"""Sorts after every other character, so it ends the range of texts with a prefix."""
NO_PAGE: Final = "There is no such page of this list; begin with the first one."
BY_ID: Final = frozenset({"id", "-id"})


@dataclass(frozen=True, slots=True)
class SortKey:
    """What a list can be sorted by: an expression that is never null, and its type."""

    expression: str
    is_time: bool = False

    @property
    def type(self) -> str:
        """PostgreSQL's name of the type."""
        return "timestamptz" if self.is_time else "text"


def name_key(column: str) -> SortKey:
    """Return the key of a name: without case, by the codes of its letters, as in the indexes."""
    return SortKey(f'lower({column}) COLLATE "C"')


@dataclass(frozen=True, slots=True)
class ListSource:
    """The constant pieces of a list's statements."""

    columns: str
    tables: str
    """What follows FROM, with joins."""
    id: str
    """The column with the id, such as u.id."""
    searched: tuple[str, ...]
    """The columns in which `q` is looked for."""
    sorts: Mapping[str, SortKey] = field(default_factory=dict)
    """Keys by the name of a field; id is always one."""
    condition: str = "true"
    """Condition of all rows of the list."""


async def read_list(
    db: Database,
    source: ListSource,
    page: Page,
    filters: Mapping[str, object],
    convert: Callable[[asyncpg.Record], T],
) -> Listing[T]:
    """Return one page and the number of rows that match.

    `filters` are conditions such as `u.tenant_id = {}` with their values; those that are None are
    left out. Raises NotFound for a cursor of another list or order.
    """
    conditions, args = _conditions(source, page.q, filters)
    order = _order(source, page.sort)
    after, values = order.after(page.after, len(args))
    statement = (
        f"SELECT {source.columns}, {order.key.expression} AS sorted_by"
        f" FROM {source.tables} WHERE {' AND '.join([*conditions, *after])}"
        f" ORDER BY {order.clause} LIMIT {page.limit + 1}"
    )
    # One more than is shown tells whether another page follows.
    rows = await db.fetch(statement, *args, *values, idempotent=True)
    shown, more = rows[: page.limit], len(rows) > page.limit
    total = len(rows)
    if more or page.after:
        total = await _count(db, source, conditions, args)
    return Listing(tuple(map(convert, shown)), order.cursor(shown[-1]) if more else None, total)


async def _count(
    db: Database, source: ListSource, conditions: list[str], args: list[object]
) -> int:
    found = f"SELECT 1 FROM {source.tables} WHERE {' AND '.join(conditions)} LIMIT {COUNT_MAX}"
    counted = await db.fetchval(f"SELECT count(*) FROM ({found}) AS found", *args, idempotent=True)
    return int(counted)


def _conditions(
    source: ListSource, q: str | None, filters: Mapping[str, object]
) -> tuple[list[str], list[object]]:
    conditions, args = [source.condition], list[object]()
    for condition, value in filters.items():
        if value is not None:
            args.append(value)
            conditions.append(condition.format(f"${len(args)}"))
    if q:
        args += [q.lower(), q.lower() + AFTER_ALL]
        low, high = f"${len(args) - 1}", f"${len(args)}"
        keys = [name_key(column).expression for column in source.searched]
        conditions.append(
            "(" + " OR ".join(f"{key} >= {low} AND {key} < {high}" for key in keys) + ")"
        )
    return conditions, args


@dataclass(frozen=True, slots=True)
class _Order:
    """One order of one list."""

    sort: str
    id: str
    key: SortKey

    @property
    def clause(self) -> str:
        way = " DESC" if self.sort.startswith("-") else ""
        by = [self.id] if self.sort in BY_ID else [self.key.expression, self.id]
        return ", ".join(part + way for part in by)

    def after(self, after: int | str, used: int) -> tuple[list[str], list[object]]:
        """Return the condition of the rows after a cursor, and its values."""
        if not after:
            return [], []
        sign = "<" if self.sort.startswith("-") else ">"
        if self.sort in BY_ID:
            if not isinstance(after, int):
                raise NotFound(NO_PAGE)
            return [f"{self.id} {sign} ${used + 1}::bigint"], [min(after, ID_MAX)]
        cursor = self._place(after)
        place = f"(${used + 1}::{self.key.type}, ${used + 2}::bigint)"
        condition = f"({self.key.expression}, {self.id}) {sign} {place}"
        return [condition], [cursor.value, cursor.id]

    def cursor(self, row: asyncpg.Record) -> int | str:
        """Return the cursor after a row."""
        if self.sort in BY_ID:
            return int(row["id"])
        return ListCursor(self.sort, row["sorted_by"], row["id"]).encoded()

    def _place(self, after: int | str) -> ListCursor:
        """Return the place that a cursor of this order is; raises NotFound."""
        try:
            cursor = decoded(str(after))
        except BadCursor:
            raise NotFound(NO_PAGE) from None
        if cursor.sort != self.sort or isinstance(cursor.value, datetime) != self.key.is_time:
            raise NotFound(NO_PAGE)
        return cursor


def _order(source: ListSource, sort: str) -> _Order:
    name = sort.removeprefix("-")
    key = SortKey(source.id) if name == "id" else source.sorts[name]
    return _Order(sort, source.id, key)
