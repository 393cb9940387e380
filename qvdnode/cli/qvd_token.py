"""`qvd token`: API tokens for administrators and their programs."""

# tested-by: tests/integration/cli/test_qvd_program.py

from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
    YesFlag,
    show_json,
    show_rows,
    tell,
)
from qvdnode.cli.api_session import with_api

app = typer.Typer(help="API tokens for administrators and programs.", no_args_is_help=True)

COLUMNS: Final = (Column("ID", "id"), Column("NAME", "name"), Column("SINCE", "created_at"))


@app.command("list")
def list_tokens(*, limit: LimitOption = None, as_json: JsonFlag = False) -> None:
    """List tokens, without their secrets."""
    show_rows(with_api(lambda api: api.items("/tokens", limit=limit)), COLUMNS, json=as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will use it.")], *, as_json: JsonFlag = False
) -> None:
    """Make a token and print its secret, this once."""
    issued = with_api(lambda api: api.call("POST", "/tokens", {"name": name}))
    if as_json:
        show_json(issued)
    else:
        tell(str(issued["token"]))


@app.command()
def revoke(
    number: Annotated[int, typer.Argument(min=1, help="Number of the token.")],
    *,
    yes: YesFlag = False,
) -> None:
    """Revoke a token; it stops working at once."""
    if not yes:
        typer.confirm(f"Revoke token {number}?", abort=True)
    with_api(lambda api: api.call("DELETE", f"/tokens/{number}"))
    tell(f"Token {number} is revoked.")
