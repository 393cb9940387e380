"""`qvd session`: who was attached to which display."""

# tested-by: tests/integration/cli/test_qvd_program.py

from typing import Annotated, Final

import typer

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import Column, JsonFlag, LimitOption, show_rows
from qvdnode.cli.api_client import ApiClient, Json
from qvdnode.cli.api_session import with_api

app = typer.Typer(help="Sessions: who was attached to which display.", no_args_is_help=True)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("VM", "vm_id"),
    Column("USER", "user_id"),
    Column("FROM", "source"),
    Column("CLIENT", "client"),
    Column("OPENED", "opened_at"),
    Column("CLOSED", "closed_at"),
    Column("BECAUSE", "reason"),
)


@app.callback()
def sessions() -> None:
    """Sessions: who was attached to which display."""


@app.command("list")
def list_sessions(
    *,
    vm: Annotated[str | None, typer.Option(help="Only of this VM.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List sessions, oldest first."""

    async def rows(api: ApiClient) -> list[Json]:
        vm_number = None if vm is None else await name_lookup.vm_id(api, vm)
        user_number = None if user is None else await name_lookup.user_id(api, user)
        return await api.items(
            "/sessions", limit=limit, vm_id=vm_number, user_id=user_number, open=open_only
        )

    show_rows(with_api(rows), COLUMNS, json=as_json)
