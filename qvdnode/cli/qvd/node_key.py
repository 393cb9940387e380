"""`qvd node key`: the key of the farm's membership, and its change."""

from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import JsonFlag, show_fields, tell
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.runtime.clock import SystemClock

app = typer.Typer(
    help="The key by which nodes recognise each other's datagrams.", no_args_is_help=True
)

LOOK_EVERY_S: Final = 1.0
STEPS: Final = {
    "none": "All nodes use one key; it is not being changed.",
    "added": "Nodes take the new key.",
    "used": "Nodes encrypt with the new key; then the old one goes.",
}


@app.command(epilog=examples("qvd node key show", "qvd node key show --json"))
def show(*, as_json: JsonFlag = False) -> None:
    """Show how far a change of the key is, and which nodes it waits for."""
    found = with_api(lambda api: api.get("/farm/key"))
    if as_json:
        show_fields(found, json=True)
    else:
        tell(sentence(found))


@app.command(epilog=examples("qvd node key rotate", "qvd node key rotate --no-wait"))
def rotate(
    *,
    wait: Annotated[bool, typer.Option(help="Return when all nodes have done it.")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Change the key on all nodes: none is cut off, and one that is away gets it later.

    The removal of a node begins this too. If it is interrupted, the nodes go on by themselves.
    """
    found = with_api(lambda api: _rotate(api, wait=wait, quiet=as_json))
    if as_json:
        show_fields(found, json=True)
    else:
        tell("The key is changed." if found["step"] == "none" else sentence(found))


async def _rotate(api: ApiClient, *, wait: bool, quiet: bool) -> Json:
    found, before, clock = await api.call("POST", "/farm/key"), "", SystemClock()
    while wait and found["step"] != "none":
        if not quiet and sentence(found) != before:
            before = sentence(found)
            tell(before)
        await clock.sleep(LOOK_EVERY_S)
        found = await api.get("/farm/key")
    return found


def sentence(found: Json) -> str:
    """How far it is, for a person."""
    waits = f" It waits for {', '.join(found['waits_for'])}." if found["waits_for"] else ""
    return f"{STEPS.get(found['step'], found['step'])}{waits}"
