"""Shows answers of the API: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="Show at most so many rows.")
]
PIPE_COLUMNS: Final = 500
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading and the field it shows."""

    heading: str
    field: str


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, json: bool) -> None:
    """Print a list."""
    if json:
        show_json(rows)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.heading, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell(row.get(column.field))) for column in columns))
    _paper().print(table)


def show_fields(item: Mapping[str, Any], *, json: bool) -> None:
    """Print one thing, a field a line."""
    if json:
        show_json(item)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in flat(item):
        table.add_row(name.replace("_", " "), escape(cell(value)))
    _paper().print(table)


def show_json(value: object) -> None:
    """Print JSON as it is, never wrapped or coloured."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def tell(sentence: str) -> None:
    """Print one sentence for a person."""
    Console(highlight=False).print(escape(sentence), soft_wrap=True)


def _paper() -> Console:
    """As wide as the terminal; in a pipe wide enough that a row stays one line, for grep."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def cell(value: object) -> str:
    """One value as people read it."""
    match value:
        case None | "":
            return "-"
        case True:
            return "yes"
        case False:
            return "no"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return printable(str(value))


def printable(text: str) -> str:
    """The text without signs that would move the cursor or ring the bell."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def flat(item: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The fields of a thing, those of its parts named `part.field`."""
    found: list[tuple[str, Any]] = []
    for name, value in item.items():
        if isinstance(value, Mapping) and value:
            found += flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found
