"""`qvd session`: who was attached to which display."""

from typing import Annotated, Final

import typer

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
    NewestFlag,
    SearchOption,
    SortOption,
    show_rows,
)
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api

app = typer.Typer(help="Sessions: who was attached to which display.", no_args_is_help=True)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("VM", "vm", number="vm_id"),
    Column("USER", "user", number="user_id"),
    Column("TENANT", "tenant", spare=True),
    Column("NODE", "node", number="node_id", spare=True),
    Column("FROM", "source"),
    Column("CLIENT", "client", spare=True),
    Column("OPENED", "opened_at"),
    Column("CLOSED", "closed_at", spare=True),
    Column("IN", "bytes_in", spare=True),
    Column("OUT", "bytes_out", spare=True),
    Column("BECAUSE", "reason", wraps=True),
)


@app.callback()
def sessions() -> None:
    """Sessions: who was attached to which display."""


@app.command(
    "list",
    epilog=examples(
        "qvd session list --open",
        "qvd session list --user alice@acme --newest --limit 10",
        "qvd session list --vm alice/desk --json",
    ),
)
def list_sessions(  # noqa: PLR0913 - one parameter is one filter
    *,
    vm: Annotated[str | None, typer.Option(help="Only of this VM.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    newest: NewestFlag = False,
    q: SearchOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List sessions, oldest first unless told."""

    async def rows(api: ApiClient) -> list[Json]:
        vm_number = None if vm is None else await name_lookup.vm_id(api, vm)
        user_number = None if user is None else await name_lookup.user_id(api, user)
        tenant_number = None if tenant is None else await name_lookup.tenant_id(api, tenant)
        return await api.items(
            "/sessions",
            tenant_id=tenant_number,
            limit=limit,
            q=q,
            sort=sort,
            vm_id=vm_number,
            user_id=user_number,
            open=open_only,
            newest=newest,
        )

    show_rows(with_api(rows), COLUMNS, json=as_json)
