"""`qvd user`: people who log in to desktops."""

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
from qvdnode.cli.qvd.secret_input import read_password

app = typer.Typer(help="Users: people who log in to desktops.", no_args_is_help=True)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("LOGIN", "login"),
    Column("TENANT", "tenant"),
    Column("BLOCKED", "blocked"),
    Column("SINCE", "created_at"),
)
User = Annotated[
    str,
    typer.Argument(
        help="LOGIN, LOGIN@TENANT or number of the user. A login may have a domain, as"
        " CORP\\ana or ana@corp.example@TENANT have."
    ),
]
StdinFlag = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
]


@app.command(
    "list",
    epilog=examples(
        "qvd user list",
        "qvd user list --tenant acme --json",
        "qvd user list --q ana --sort -created_at",
    ),
)
def list_users(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    login: Annotated[str | None, typer.Option(help="Only with this login.")] = None,
    q: SearchOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List users."""

    async def rows(api: ApiClient) -> list[Json]:
        number = None if tenant is None else await name_lookup.tenant_id(api, tenant)
        return await api.items("/users", limit=limit, q=q, sort=sort, tenant_id=number, login=login)

    show_rows(with_api(rows), COLUMNS, json=as_json)


@app.command(
    epilog=examples("qvd user create alice", "qvd user create alice@acme --password-stdin < FILE")
)
def create(user: User, *, password_stdin: StdinFlag = False, as_json: JsonFlag = False) -> None:
    """Make a user; the password is asked for."""
    who = name_lookup.split_tenant(user)
    secret = read_password(from_stdin=password_stdin)

    async def work(api: ApiClient) -> Json:
        tenant = await name_lookup.tenant_id(api, who.tenant)
        body = {"tenant_id": tenant, "login": who.name, "password": secret}
        return await api.call("POST", "/users", body)

    show_fields(with_api(work), json=as_json)


@app.command(epilog=examples("qvd user show alice@acme"))
def show(user: User, *, as_json: JsonFlag = False) -> None:
    """Show a user."""
    show_fields(with_api(lambda api: _call(api, "GET", user)), json=as_json)


@app.command(
    epilog=examples(
        "qvd user password alice", "qvd user password alice@acme --password-stdin < FILE"
    )
)
def password(user: User, *, password_stdin: StdinFlag = False, as_json: JsonFlag = False) -> None:
    """Set a user's password; the old one stops working at once, and so do the user's tokens."""
    secret = read_password(from_stdin=password_stdin)
    with_api(lambda api: _call(api, "PUT", user, "/password", password=secret))
    tell(f"The password of {user} is set.", json=as_json)


@app.command(epilog=examples("qvd user block alice"))
def block(user: User, *, as_json: JsonFlag = False) -> None:
    """Let a user log in no more; the user's tokens are revoked."""
    show_fields(with_api(lambda api: _call(api, "PATCH", user, blocked=True)), json=as_json)


@app.command(epilog=examples("qvd user unblock alice"))
def unblock(user: User, *, as_json: JsonFlag = False) -> None:
    """Let a user log in again."""
    show_fields(with_api(lambda api: _call(api, "PATCH", user, blocked=False)), json=as_json)


@app.command(epilog=examples("qvd user home alice --node desk2", "qvd user home alice --lost"))
def home(
    user: User,
    *,
    node: Annotated[
        str | None, typer.Option(help="NAME or number of the node that has it.")
    ] = None,
    lost: Annotated[
        bool, typer.Option("--lost", help="It is on no node: the next start makes a new one.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say which node has a user's home, once you have put it there. Moves no file."""
    if (node is None) != lost:
        raise typer.BadParameter("Give either --node or --lost.")

    async def work(api: ApiClient) -> Json:
        number = None if node is None else await name_lookup.node_id(api, node)
        return await _call(api, "PUT", user, "/home", node_id=number)

    show_fields(with_api(work), json=as_json)


@app.command("revoke-tokens", epilog=examples("qvd user revoke-tokens alice"))
def revoke_tokens(user: User, *, as_json: JsonFlag = False) -> None:
    """End all tokens of a user; sessions that are open stay, the password goes on working."""
    with_api(lambda api: _call(api, "DELETE", user, "/tokens"))
    tell(f"The tokens of {user} are revoked.", json=as_json)


@app.command(epilog=examples("qvd user delete alice@acme", "qvd user delete 7 --yes"))
def delete(user: User, *, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Delete a user without VMs; the home folder stays on the node."""
    ask_first(f"Delete user {user}?", yes=yes)
    with_api(lambda api: _call(api, "DELETE", user))
    tell(f"User {user} is deleted.", json=as_json)


async def _call(api: ApiClient, method: str, user: str, below: str = "", **body: object) -> Json:
    number = await name_lookup.user_id(api, user)
    return await api.call(method, f"/users/{number}{below}", body or None)
