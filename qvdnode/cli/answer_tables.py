"""Shows answers of the API: tables for people, JSON for programs."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from qvdnode.cli.number_options import whole
from qvdnode.cli.plain_values import cell, label
from qvdnode.wire.plain_text import plain_json, printable_lines

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, exact and whole, instead.")]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", parser=whole(1), metavar="N", help="Show at most so many rows."),
]
NewestFlag = Annotated[bool, typer.Option("--newest", help="Newest first.")]
SearchOption = Annotated[
    str | None, typer.Option("--q", help="Only names that begin so, whatever the case.")
]
SortOption = Annotated[
    str | None,
    typer.Option("--sort", help="Order by this field; with a - before it, backwards."),
]
PIPE_COLUMNS: Final = 500
GAP: Final = "  "
WRAPPED: Final = 16
"""The smallest width of a column with long text."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading and the field it shows."""

    heading: str
    field: str
    number: str = ""
    """The field with the object's id, shown when the name is null because it was deleted."""
    spare: bool = False
    """Left out if the terminal is too narrow for all columns."""
    wraps: bool = False
    """Long text, which may wrap."""

    def of(self, row: Mapping[str, Any]) -> str:
        """Return the text of this column for a row."""
        value = row.get(self.field)
        if value is None and self.number and row.get(self.number) is not None:
            return f"{row[self.number]} (deleted)"
        return cell(value, self.field)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, json: bool) -> None:
    """Print a list."""
    if json:
        show_json(rows)
        return
    width = Console().width if sys.stdout.isatty() else PIPE_COLUMNS
    shown = fitting(rows, columns, width)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in shown:
        table.add_column(column.heading, overflow="fold", no_wrap=not column.wraps)
    for row in rows:
        table.add_row(*(escape(column.of(row)) for column in shown))
    _print(table)


def fitting(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], width: int
) -> list[Column]:
    """Return the columns that fit the terminal; spare ones are left out from the right."""
    shown = list(columns)
    needed = {column: _width(rows, column) for column in columns}
    for column in reversed(columns):
        if sum(needed[item] + len(GAP) for item in shown) - len(GAP) <= width:
            break
        if column.spare:
            shown.remove(column)
    return shown


def _width(rows: Sequence[Mapping[str, Any]], column: Column) -> int:
    widest = max((cell_len(text) for text in (column.heading, *map(column.of, rows))), default=0)
    return min(widest, WRAPPED) if column.wraps else widest


def show_fields(item: Mapping[str, Any], *, json: bool) -> None:
    """Print one object, one field per line; leave out an id that has its name beside it."""
    if json:
        show_json(item)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in flat(item):
        if not _stands_beside_its_name(item, name):
            table.add_row(label(name), escape(cell(value, name)))
    _print(table)


def _stands_beside_its_name(item: Mapping[str, Any], field: str) -> bool:
    name = field.removesuffix("_id")
    return name != field and name in item and (item[name] is not None or item[field] is None)


def show_json(value: object) -> None:
    """Print JSON without wrapping or colours."""
    print(plain_json(value))


def tell(sentence: str, *, json: bool = False) -> None:
    """Print one sentence; as JSON, an object with the sentence in the field `done`."""
    if json:
        show_json({"done": sentence})
    else:
        Console(highlight=False).print(escape(printable_lines(sentence)), soft_wrap=True)


def _print(table: Table) -> None:
    """Print a table as wide as the terminal; in a pipe each row is one line."""
    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    console = Console(highlight=False, width=PIPE_COLUMNS)
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        print(line.rstrip())


def flat(item: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the fields of an object; fields of its parts are named `part.field`."""
    found: list[tuple[str, Any]] = []
    for name, value in item.items():
        if isinstance(value, Mapping) and value:
            found += flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found
