"""`qvd audit`: who changed what."""

from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
    NewestFlag,
    SearchOption,
    SortOption,
    show_rows,
)
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api

app = typer.Typer(help="The audit trail: who changed what.", no_args_is_help=True)

COLUMNS: Final = (
    Column("WHEN", "at"),
    Column("WHO", "actor"),
    Column("WHAT", "action"),
    Column("KIND", "object_kind", spare=True),
    Column("ID", "object_id"),
    Column("DETAIL", "detail", wraps=True),
    Column("CORRELATION", "correlation", spare=True),
)


@app.callback()
def audit() -> None:
    """The audit trail: who changed what."""


@app.command(
    "list",
    epilog=examples(
        "qvd audit list --newest --limit 20",
        "qvd audit list --kind vm --id 7",
        "qvd audit list --actor backup-robot --json",
    ),
)
def list_audit(  # noqa: PLR0913 - one parameter is one filter
    *,
    actor: Annotated[str | None, typer.Option(help="Only by this token's name.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind, such as vm.")] = None,
    number: Annotated[str | None, typer.Option("--id", help="Only of this id.")] = None,
    newest: NewestFlag = False,
    q: SearchOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List changes, oldest first unless told."""
    rows = with_api(
        lambda api: api.items(
            "/audit",
            limit=limit,
            q=q,
            sort=sort,
            actor=actor,
            object_kind=kind,
            object_id=number,
            newest=newest,
        )
    )
    show_rows(rows, COLUMNS, json=as_json)
