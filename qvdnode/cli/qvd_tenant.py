"""`qvd tenant`: groups of users, isolated from each other."""

# tested-by: tests/integration/cli/test_qvd_program.py

from typing import Annotated, Final

import typer

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
    YesFlag,
    show_fields,
    show_rows,
    tell,
)
from qvdnode.cli.api_client import ApiClient, Json
from qvdnode.cli.api_session import with_api

app = typer.Typer(help="Tenants: groups of users, isolated from each other.", no_args_is_help=True)

COLUMNS: Final = (Column("ID", "id"), Column("NAME", "name"), Column("BLOCKED", "blocked"))
Tenant = Annotated[str, typer.Argument(help="Name or number of the tenant.")]


@app.command("list")
def list_tenants(*, limit: LimitOption = None, as_json: JsonFlag = False) -> None:
    """List tenants."""
    show_rows(with_api(lambda api: api.items("/tenants", limit=limit)), COLUMNS, json=as_json)


@app.command()
def create(name: Annotated[str, typer.Argument()], *, as_json: JsonFlag = False) -> None:
    """Make a tenant."""
    show_fields(with_api(lambda api: api.call("POST", "/tenants", {"name": name})), json=as_json)


@app.command()
def show(tenant: Tenant, *, as_json: JsonFlag = False) -> None:
    """Show a tenant."""
    show_fields(with_api(lambda api: _call(api, "GET", tenant)), json=as_json)


@app.command()
def block(tenant: Tenant, *, as_json: JsonFlag = False) -> None:
    """Let nobody of a tenant log in."""
    show_fields(with_api(lambda api: _call(api, "PATCH", tenant, blocked=True)), json=as_json)


@app.command()
def unblock(tenant: Tenant, *, as_json: JsonFlag = False) -> None:
    """Let the people of a tenant log in again."""
    show_fields(with_api(lambda api: _call(api, "PATCH", tenant, blocked=False)), json=as_json)


@app.command()
def delete(tenant: Tenant, *, yes: YesFlag = False) -> None:
    """Delete a tenant without users and flavours."""
    if not yes:
        typer.confirm(f"Delete tenant {tenant}?", abort=True)
    with_api(lambda api: _call(api, "DELETE", tenant))
    tell(f"Tenant {tenant} is deleted.")


async def _call(api: ApiClient, method: str, tenant: str, **body: object) -> Json:
    number = await name_lookup.tenant_id(api, tenant)
    return await api.call(method, f"/tenants/{number}", body or None)
