"""`qvd tenant`: groups of users, isolated from each other."""

from typing import Annotated, Final

import typer

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
    SearchOption,
    SortOption,
    show_fields,
    show_rows,
    tell,
)
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.cli.qvd.asking import YesFlag, ask_first
from qvdnode.model.errors import Invalid

app = typer.Typer(help="Tenants: groups of users, isolated from each other.", no_args_is_help=True)

COLUMNS: Final = (Column("ID", "id"), Column("NAME", "name"), Column("BLOCKED", "blocked"))
Tenant = Annotated[str, typer.Argument(help="Name or number of the tenant.")]


@app.command("list", epilog=examples("qvd tenant list", "qvd tenant list --name acme --json"))
def list_tenants(
    *,
    name: Annotated[str | None, typer.Option(help="Only of this name.")] = None,
    q: SearchOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List tenants."""
    rows = with_api(lambda api: api.items("/tenants", limit=limit, q=q, sort=sort, name=name))
    show_rows(rows, COLUMNS, json=as_json)


@app.command(epilog=examples("qvd tenant create acme"))
def create(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, dots, dashes.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Make a tenant."""
    show_fields(with_api(lambda api: api.call("POST", "/tenants", {"name": name})), json=as_json)


@app.command(epilog=examples("qvd tenant show acme", "qvd tenant show 2 --json"))
def show(tenant: Tenant, *, as_json: JsonFlag = False) -> None:
    """Show a tenant."""
    show_fields(with_api(lambda api: _call(api, "GET", tenant)), json=as_json)


@app.command(epilog=examples("qvd tenant block acme"))
def block(tenant: Tenant, *, as_json: JsonFlag = False) -> None:
    """Let nobody of a tenant log in."""
    show_fields(with_api(lambda api: _call(api, "PATCH", tenant, blocked=True)), json=as_json)


@app.command(epilog=examples("qvd tenant unblock acme"))
def unblock(tenant: Tenant, *, as_json: JsonFlag = False) -> None:
    """Let the people of a tenant log in again."""
    show_fields(with_api(lambda api: _call(api, "PATCH", tenant, blocked=False)), json=as_json)


@app.command(epilog=examples("qvd tenant assistance acme off"))
def assistance(
    tenant: Tenant,
    state: Annotated[str, typer.Argument(help="on or off.", metavar="on|off")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Say whether helpers may ask the users of a tenant to see their desktops."""
    if state not in {"on", "off"}:
        raise Invalid("The second word is on or off.")
    wanted = state == "on"
    show_fields(with_api(lambda api: _call(api, "PATCH", tenant, assistance=wanted)), json=as_json)


@app.command(epilog=examples("qvd tenant delete acme", "qvd tenant delete acme --yes"))
def delete(tenant: Tenant, *, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Delete a tenant without users and flavours."""
    ask_first(f"Delete tenant {tenant}?", yes=yes)
    with_api(lambda api: _call(api, "DELETE", tenant))
    tell(f"Tenant {tenant} is deleted.", json=as_json)


async def _call(api: ApiClient, method: str, tenant: str, **body: object) -> Json:
    number = await name_lookup.tenant_id(api, tenant)
    return await api.call(method, f"/tenants/{number}", body or None)
