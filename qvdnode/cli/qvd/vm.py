"""`qvd vm`: users' machines."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import typer
from rich.console import Console

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
    SearchOption,
    SortOption,
    show_fields,
    show_json,
    show_rows,
    tell,
)
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd import vm_console, vm_tags
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.cli.qvd.asking import YesFlag, ask_first
from qvdnode.cli.qvd.vm_placement import show_placement
from qvdnode.model.errors import FarmError
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.supervise import Supervisor
from qvdnode.wire.plain_text import printable_lines

app = typer.Typer(help="VMs: users' machines.", no_args_is_help=True)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("USER", "user"),
    Column("TENANT", "tenant", spare=True),
    Column("FLAVOUR", "flavour"),
    Column("STATE", "state"),
    Column("DISPLAY", "display", spare=True),
    Column("VIEWER", "viewer"),
    Column("BLOCKED", "blocked"),
    Column("NODE", "node", spare=True),
)
LOOK_EVERY_S: Final = 0.5
Vm = Annotated[str, typer.Argument(help="Number, NAME or LOGIN[@TENANT]/NAME of the VM.")]
State = Annotated[
    str | None, typer.Option(help=f"Only in this state: {', '.join(VmState)}.", metavar="STATE")
]
WaitFlag = Annotated[bool, typer.Option("--wait", help="Return when it is done.")]


@app.command(
    "list",
    epilog=examples(
        "qvd vm list --state running",
        "qvd vm list --user alice@acme",
        "qvd vm list --flavour office --json",
    ),
)
def list_vms(  # noqa: PLR0913 - one parameter is one filter
    *,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    flavour: Annotated[str | None, typer.Option(help="Only of this flavour.")] = None,
    name: Annotated[str | None, typer.Option(help="Only of this name.")] = None,
    state: State = None,
    node: Annotated[str | None, typer.Option(help="Only what this node runs.")] = None,
    q: SearchOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List VMs."""

    async def rows(api: ApiClient) -> list[Json]:
        tenant_number = None if tenant is None else await name_lookup.tenant_id(api, tenant)
        user_number = None if user is None else await name_lookup.user_id(api, user)
        flavour_number = None if flavour is None else await name_lookup.flavour_id(api, flavour)
        node_number = None if node is None else await name_lookup.node_id(api, node)
        return await api.items(
            "/vms",
            limit=limit,
            q=q,
            sort=sort,
            node_id=node_number,
            tenant_id=tenant_number,
            user_id=user_number,
            flavour_id=flavour_number,
            name=name,
            state=state,
        )

    show_rows(with_api(rows), COLUMNS, json=as_json)


@app.command(
    epilog=examples(
        "qvd vm create desk --user alice --flavour office",
        "qvd vm create desk --user bob@acme --flavour shop@acme",
    )
)
def create(
    name: Annotated[str, typer.Argument(help="What the user will see.")],
    *,
    user: Annotated[str, typer.Option(help="LOGIN, LOGIN@TENANT or number.")],
    flavour: Annotated[str, typer.Option(help="NAME, NAME@TENANT or number.")],
    as_json: JsonFlag = False,
) -> None:
    """Make a VM for a user."""

    async def work(api: ApiClient) -> Json:
        user_number = await name_lookup.user_id(api, user)
        flavour_number = await name_lookup.flavour_id(api, flavour)
        body = {"user_id": user_number, "flavour_id": flavour_number, "name": name}
        return await api.call("POST", "/vms", body)

    show_fields(with_api(work), json=as_json)


@app.command(epilog=examples("qvd vm show desk", "qvd vm show alice@acme/desk --json"))
def show(vm: Vm, *, as_json: JsonFlag = False) -> None:
    """Show a VM: state, display, viewer, memory, address."""
    show_fields(with_api(lambda api: _call(api, "GET", vm)), json=as_json)


@app.command(epilog=examples("qvd vm explain desk", "qvd vm explain alice@acme/desk --json"))
def explain(vm: Vm, *, as_json: JsonFlag = False) -> None:
    """Tell why a VM runs where it runs, and what each node is worth for a start now."""
    show_placement(with_api(lambda api: _call(api, "GET", vm, "/placement")), json=as_json)


@app.command(epilog=examples("qvd vm start desk --wait"))
def start(vm: Vm, *, wait: WaitFlag = False, as_json: JsonFlag = False) -> None:
    """Start a VM without connecting to it; its first client starts the display."""
    show_fields(with_api(lambda api: _act(api, vm, "start", wait=wait)), json=as_json)


@app.command(epilog=examples("qvd vm stop alice/desk --wait"))
def stop(vm: Vm, *, wait: WaitFlag = False, as_json: JsonFlag = False) -> None:
    """Stop a VM; what is not saved in it is lost."""
    show_fields(with_api(lambda api: _act(api, vm, "stop", wait=wait)), json=as_json)


@app.command(epilog=examples("qvd vm disconnect alice/desk"))
def disconnect(vm: Vm, *, as_json: JsonFlag = False) -> None:
    """Disconnect the client of a VM; the desktop goes on."""
    said = with_api(lambda api: _call(api, "POST", vm, "/disconnect"))
    if as_json:
        show_json(said)
    else:
        tell("Disconnected." if said["disconnected"] else "No client was connected.")


@app.command(epilog=examples("qvd vm log alice/desk"))
def log(vm: Vm, *, as_json: JsonFlag = False) -> None:
    """Show a VM's logs: of its last starts, with why they ended, and of what runs."""
    said = with_api(lambda api: _call(api, "GET", vm, "/log"))
    if as_json:
        show_json(said)
    else:
        # The guest writes it: nothing in it may steer the terminal.
        print(printable_lines(said["text"]))


@app.command(epilog=examples("qvd vm block alice/desk"))
def block(vm: Vm, *, as_json: JsonFlag = False) -> None:
    """Let nobody connect to a VM."""
    show_fields(with_api(lambda api: _call(api, "PATCH", vm, blocked=True)), json=as_json)


@app.command(epilog=examples("qvd vm unblock alice/desk"))
def unblock(vm: Vm, *, as_json: JsonFlag = False) -> None:
    """Let its user connect to a VM again."""
    show_fields(with_api(lambda api: _call(api, "PATCH", vm, blocked=False)), json=as_json)


@app.command(epilog=examples("qvd vm delete alice/desk"))
def delete(vm: Vm, *, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Delete a stopped VM; the user's home stays."""
    ask_first(f"Delete VM {vm}?", yes=yes)
    with_api(lambda api: _call(api, "DELETE", vm))
    tell(f"VM {vm} is deleted.", json=as_json)


vm_tags.add_to(app)
vm_console.add_to(app)


async def _call(api: ApiClient, method: str, vm: str, below: str = "", **body: object) -> Json:
    number = await name_lookup.vm_id(api, vm)
    return await api.call(method, f"/vms/{number}{below}", body or None)


async def _act(api: ApiClient, vm: str, verb: str, *, wait: bool) -> Json:
    number = await name_lookup.vm_id(api, vm)
    path = f"/vms/{number}"
    if not wait:
        return await api.call("POST", f"{path}/{verb}")
    with Console(stderr=True).status(f"{verb} VM {number}") as status:
        async with Supervisor("qvd") as supervisor:
            _ = supervisor.isolated("watch", _watch(api, path, status.update))
            outcome = await _outcome(api.call("POST", f"{path}/{verb}", query={"wait": True}))
    if isinstance(outcome, FarmError):
        raise outcome
    return outcome


async def _outcome(work: Awaitable[Json]) -> Json | FarmError:
    """What came of it, as a value: the scope of the watcher would wrap an error."""
    try:
        return await work
    except FarmError as error:
        return error


async def _watch(api: ApiClient, path: str, tell_state: Callable[[str], None]) -> None:
    """Show what the VM does until this is cancelled, or the node cannot say."""
    with contextlib.suppress(FarmError):
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            vm = await api.get(path)
            place = vm["queue_place"]
            queued = "" if place is None else f", place {place} in the queue"
            tell_state(vm["state"] + queued)
