"""`qvd node`: the hosts of the farm."""

from typing import Annotated, Final

import typer

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import Column, JsonFlag, LimitOption, show_fields, show_rows
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.cli.qvd.asking import YesFlag, ask_first

app = typer.Typer(help="Nodes: the hosts of the farm.", no_args_is_help=True)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("ADDRESS", "address"),
    Column("STATE", "state"),
    Column("ALIVE", "alive"),
    Column("DRIVERS", "drivers"),
    Column("SINCE", "joined_at"),
)


@app.command("list", epilog=examples("qvd node list", "qvd node list --json"))
def list_nodes(*, limit: LimitOption = None, as_json: JsonFlag = False) -> None:
    """List all nodes of the farm."""
    show_rows(with_api(lambda api: api.items("/nodes", limit=limit)), COLUMNS, json=as_json)


@app.command(epilog=examples("qvd node show", "qvd node show --json"))
def show(*, as_json: JsonFlag = False) -> None:
    """Show the node you are logged in to: what it is, carries and can carry."""
    show_fields(with_api(lambda api: api.get("/node")), json=as_json)


@app.command(epilog=examples("qvd node fence desk2", "qvd node fence desk2 --yes"))
def fence(
    node: Annotated[str, typer.Argument(help="Name or number of the node.")],
    *,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Give up a node that is gone for good: what it ran may be started elsewhere."""
    ask_first(f"Is the host of {node} surely off, and shall its desktops be given up?", yes=yes)
    show_fields(with_api(lambda api: _fence(api, node)), json=as_json)


async def _fence(api: ApiClient, node: str) -> Json:
    number = await name_lookup.node_id(api, node)
    return await api.call("POST", f"/nodes/{number}/fence")
