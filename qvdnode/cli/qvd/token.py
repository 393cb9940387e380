"""`qvd token`: API tokens for administrators and their programs."""

from typing import Annotated, Final

import typer

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
    SearchOption,
    SortOption,
    show_json,
    show_rows,
    tell,
)
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.cli.qvd.asking import YesFlag, ask_first

app = typer.Typer(help="API tokens for administrators and programs.", no_args_is_help=True)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("ROLE", "role"),
    Column("TENANT", "tenant"),
    Column("SINCE", "created_at"),
)


@app.command("list", epilog=examples("qvd token list"))
def list_tokens(
    *,
    q: SearchOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List tokens, without their secrets."""
    show_rows(
        with_api(lambda api: api.items("/tokens", limit=limit, q=q, sort=sort)),
        COLUMNS,
        json=as_json,
    )


@app.command(
    epilog=examples(
        "qvd token create backup-robot",
        "qvd token create ana --role helpdesk --tenant acme",
        "qvd token create ci --json",
    )
)
def create(
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    *,
    role: Annotated[
        str,
        typer.Option(
            help="viewer: sees; helpdesk: starts and stops desktops as well; admin: everything."
        ),
    ] = "admin",
    tenant: Annotated[
        str | None, typer.Option(help="The one tenant that it is for, instead of the farm.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a token and print its secret, this once."""

    async def work(api: ApiClient) -> Json:
        number = None if tenant is None else await name_lookup.tenant_id(api, tenant)
        return await api.call("POST", "/tokens", {"name": name, "role": role, "tenant_id": number})

    issued = with_api(work)
    if as_json:
        show_json(issued)
    else:
        tell(str(issued["token"]))


@app.command(epilog=examples("qvd token revoke backup-robot", "qvd token revoke 3 --yes"))
def revoke(
    token: Annotated[str, typer.Argument(help="Name or number of the token.")],
    *,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Revoke a token; it stops working at once."""
    ask_first(f"Revoke token {token}?", yes=yes)

    async def work(api: ApiClient) -> None:
        await api.call("DELETE", f"/tokens/{await name_lookup.token_id(api, token)}")

    with_api(work)
    tell(f"Token {token} is revoked.", json=as_json)
