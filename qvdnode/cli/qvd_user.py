"""`qvd user`: people who log in to desktops."""

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
from qvdnode.cli.api_session import fail, with_api
from qvdnode.cli.secret_input import read_password
from qvdnode.model.errors import FarmError

app = typer.Typer(help="Users: people who log in to desktops.", no_args_is_help=True)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("LOGIN", "login"),
    Column("TENANT", "tenant"),
    Column("BLOCKED", "blocked"),
    Column("SINCE", "created_at"),
)
User = Annotated[str, typer.Argument(help="LOGIN, LOGIN@TENANT or number of the user.")]
StdinFlag = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
]


@app.command("list")
def list_users(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    login: Annotated[str | None, typer.Option(help="Only with this login.")] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List users."""

    async def rows(api: ApiClient) -> list[Json]:
        number = None if tenant is None else await name_lookup.tenant_id(api, tenant)
        return await api.items("/users", limit=limit, tenant_id=number, login=login)

    show_rows(with_api(rows), COLUMNS, json=as_json)


@app.command()
def create(user: User, *, password_stdin: StdinFlag = False, as_json: JsonFlag = False) -> None:
    """Make a user; the password is asked for."""
    who, password = name_lookup.split_tenant(user), _password(from_stdin=password_stdin)

    async def work(api: ApiClient) -> Json:
        tenant = await name_lookup.tenant_id(api, who.tenant)
        body = {"tenant_id": tenant, "login": who.name, "password": password}
        return await api.call("POST", "/users", body)

    show_fields(with_api(work), json=as_json)


@app.command()
def show(user: User, *, as_json: JsonFlag = False) -> None:
    """Show a user."""
    show_fields(with_api(lambda api: _call(api, "GET", user)), json=as_json)


@app.command()
def password(user: User, *, password_stdin: StdinFlag = False) -> None:
    """Set a user's password; the old one stops working at once."""
    secret = _password(from_stdin=password_stdin)
    with_api(lambda api: _call(api, "PUT", user, "/password", password=secret))
    tell(f"The password of {user} is set.")


@app.command()
def block(user: User, *, as_json: JsonFlag = False) -> None:
    """Let a user log in no more."""
    show_fields(with_api(lambda api: _call(api, "PATCH", user, blocked=True)), json=as_json)


@app.command()
def unblock(user: User, *, as_json: JsonFlag = False) -> None:
    """Let a user log in again."""
    show_fields(with_api(lambda api: _call(api, "PATCH", user, blocked=False)), json=as_json)


@app.command()
def delete(user: User, *, yes: YesFlag = False) -> None:
    """Delete a user without VMs; the home folder stays on the node."""
    if not yes:
        typer.confirm(f"Delete user {user}?", abort=True)
    with_api(lambda api: _call(api, "DELETE", user))
    tell(f"User {user} is deleted.")


def _password(*, from_stdin: bool) -> str:
    try:
        return read_password(from_stdin=from_stdin)
    except FarmError as error:
        fail(error)


async def _call(api: ApiClient, method: str, user: str, below: str = "", **body: object) -> Json:
    number = await name_lookup.user_id(api, user)
    return await api.call(method, f"/users/{number}{below}", body or None)
