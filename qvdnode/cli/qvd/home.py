"""`qvd home`: snapshots of users' homes, and files brought back from them."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import Column, JsonFlag, show_json, show_rows, tell
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.number_options import whole
from qvdnode.cli.plain_values import size
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.model.errors import FarmError, NotFound
from qvdnode.model.plurals import counted
from qvdnode.runtime.supervise import Supervisor

app = typer.Typer(help="Homes: snapshots of users' files.", no_args_is_help=True)

LOOK_EVERY_S: Final = 1.0
COLUMNS: Final = (
    Column("TIME", "name"),
    Column("FILES", "files"),
    Column("SIZE", "size"),
)
Whose = Annotated[
    str,
    typer.Argument(
        metavar="USER|VM", help="LOGIN, LOGIN@TENANT or number of a user; or LOGIN/NAME of a VM."
    ),
]
Path = Annotated[
    str, typer.Argument(metavar="[PATH]", help="A file or folder in the home; all if left out.")
]


@app.command(
    epilog=examples("qvd home log alice", "qvd home log alice@acme Documents/thesis.odt --json")
)
def log(
    whose: Whose,
    path: Path = "",
    *,
    limit: Annotated[
        int, typer.Option("-n", "--limit", parser=whole(1), metavar="N", help="At most N.")
    ] = 100,
    as_json: JsonFlag = False,
) -> None:
    """List the snapshots of a home, newest first; of a path, those in which it changed."""

    async def work(api: ApiClient) -> Json:
        query = {"path": path, "limit": limit}
        return await api.call("GET", await _home(api, whose) + "/snapshots", query=query)

    found = with_api(work)
    if as_json:
        show_json(found)
        return
    rows = [{**item, "size": size(item["size_bytes"])} for item in found["items"]]
    show_rows(rows, COLUMNS, json=False)
    tell(
        f"{counted(len(rows), 'snapshot')}; all of this home take {size(found['disk_bytes'])}"
        f" of the disk. {found['working']}".rstrip()
    )


@app.command(epilog=examples("qvd home snapshot alice"))
def snapshot(whose: Whose, *, as_json: JsonFlag = False) -> None:
    """Make a snapshot of a home now; desktops go on meanwhile."""

    async def work(api: ApiClient) -> Json:
        return await _shown(api, await _home(api, whose), "/snapshots", None)

    made = with_api(work)
    if as_json:
        show_json(made)
        return
    for line in made["left_out"]:
        tell(line)
    tell(f"Saved {counted(made['files'], 'file')}, {size(made['read_bytes'])} of them new.")


@app.command(
    epilog=examples(
        "qvd home restore alice Documents/thesis.odt --at yesterday",
        "qvd home restore alice@acme --at '2026-11-30 14:00'",
        "qvd home restore alice/desk .config --at 3d",
    )
)
def restore(
    whose: Whose,
    path: Path = "",
    *,
    at: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="As it was then (UTC): 2026-11-30, '2026-11-30 14:00', 14:00, yesterday, or an"
            " age such as 2h or 3d; the newest snapshot if left out.",
        ),
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Bring files back into a new folder of the home; nothing that is there is changed."""

    async def work(api: ApiClient) -> Json:
        return await _shown(api, await _home(api, whose), "/restore", {"path": path, "at": at})

    made = with_api(work)
    if as_json:
        show_json(made)
    else:
        tell(f"Restored into the folder {made['folder']} of the home.")


async def _home(api: ApiClient, whose: str) -> str:
    """The address of the home of a user, or of a VM's user; raises NotFound, Invalid."""
    if "/" in whose:
        return await _home_of_vm(api, whose)
    try:
        return f"/users/{await name_lookup.user_id(api, whose)}/home"
    except NotFound as no_user:
        try:
            return await _home_of_vm(api, whose)
        except NotFound:
            raise no_user from None


async def _home_of_vm(api: ApiClient, vm: str) -> str:
    found = await api.get(f"/vms/{await name_lookup.vm_id(api, vm)}")
    return f"/users/{found['user_id']}/home"


async def _shown(api: ApiClient, home: str, verb: str, body: dict[str, Any] | None) -> Json:
    """Call, and show meanwhile what is being done."""
    with Console(stderr=True).status("The home is being read") as status:
        async with Supervisor("qvd") as supervisor:
            _ = supervisor.isolated("watch", _watch(api, home, status))
            outcome = await _outcome(api.call("POST", home + verb, body))
    if isinstance(outcome, FarmError):
        raise outcome
    return outcome


async def _outcome(work: Awaitable[Json]) -> Json | FarmError:
    """What came of it, as a value: the scope of the watcher would wrap an error."""
    try:
        return await work
    except FarmError as error:
        return error


async def _watch(api: ApiClient, home: str, status: Any) -> None:  # noqa: ANN401 - rich's
    with contextlib.suppress(FarmError):
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            working = (await api.get(home + "/snapshots", limit=0))["working"]
            if working:
                status.update(working)
