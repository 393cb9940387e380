"""`qvd search`: finds things of all kinds by the beginning of their names."""

from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import Column, JsonFlag, show_json, show_rows
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api

EXAMPLES: Final = examples("qvd search ana", "qvd search desk --json")
COLUMNS: Final = (
    Column("KIND", "kind"),
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("OF", "detail"),
)


def search(
    q: Annotated[str, typer.Argument(metavar="TEXT", help="How the names begin.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Find users, VMs, nodes, images, flavours and tenants; ten of each at most."""
    found = with_api(lambda api: api.get("/search", q=q))
    if as_json:
        show_json(found)
        return
    rows = [{"kind": kind.removesuffix("s"), **item} for kind in found for item in found[kind]]
    show_rows(rows, COLUMNS, json=False)
