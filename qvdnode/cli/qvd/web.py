"""`qvd web`: the web page, and logins in browsers."""

from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
    show_json,
    show_rows,
    tell,
)
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.cli.qvd.asking import YesFlag, ask_first

app = typer.Typer(
    help="The administration page, and your logins in browsers.", no_args_is_help=True
)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("FROM", "source"),
    Column("BROWSER", "agent"),
    Column("SINCE", "created_at"),
    Column("LAST USED", "seen_at"),
    Column("ENDS", "ends_at"),
)


@app.command(epilog=examples("qvd web link", "qvd web link --json"))
def link(*, as_json: JsonFlag = False) -> None:
    """Print a link that opens the administration page, logged in as you. It works once."""
    made = with_api(lambda api: api.call("POST", "/session/links"))
    if as_json:
        show_json(made)
    else:
        tell(str(made["url"]))


@app.command(epilog=examples("qvd web whoami"))
def whoami(*, as_json: JsonFlag = False) -> None:
    """Show as whom you are logged in: the name of your API token."""
    found = with_api(lambda api: api.get("/session"))
    if as_json:
        show_json(found)
    else:
        tell(str(found["name"]))


@app.command("list", epilog=examples("qvd web list", "qvd web list --json"))
def list_logins(*, limit: LimitOption = None, as_json: JsonFlag = False) -> None:
    """List the browsers that are logged in as you."""
    show_rows(with_api(lambda api: api.items("/web-sessions", limit=limit)), COLUMNS, json=as_json)


@app.command(epilog=examples("qvd web revoke 12", "qvd web revoke 12 --yes"))
def revoke(
    login: Annotated[int, typer.Argument(help="Number of the login, from `qvd web list`.")],
    *,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Log one of your browsers out; it stops working at once."""
    ask_first(f"Log out browser login {login}?", yes=yes)
    with_api(lambda api: api.call("DELETE", f"/web-sessions/{login}"))
    tell(f"Browser login {login} has ended.", json=as_json)
