"""`qvd node`: the hosts of the farm."""

from datetime import UTC, datetime
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
    show_json,
    show_rows,
    tell,
)
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.number_options import whole
from qvdnode.cli.plain_values import measured
from qvdnode.cli.qvd import node_key
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.cli.qvd.asking import YesFlag, ask_first
from qvdnode.cli.qvd.node_memory import show_memory
from qvdnode.model.plurals import counted

app = typer.Typer(help="Nodes: the hosts of the farm.", no_args_is_help=True)
app.add_typer(node_key.app, name="key")

COLUMNS: Final = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("ADDRESS", "address", spare=True),
    Column("STATE", "state"),
    Column("ALIVE", "alive"),
    Column("DRIVERS", "drivers", spare=True),
    Column("HERE", "here", spare=True),
    Column("REACHED", "reached"),
    Column("DESKTOPS", "guests"),
    Column("MEMORY", "memory", spare=True),
    Column("AGE", "load_age"),
    Column("DRAIN", "drain", spare=True),
    Column("DATABASE", "runs_database", spare=True),
    Column("SINCE", "joined_at", spare=True),
    Column("REASON", "reason", wraps=True),
)
SINGLE_POINT: Final = (
    "The farm's database is embedded in node {name}: without that node no desktop can start."
)
FIGURE_COLUMNS: Final = (
    Column("AT", "at"),
    Column("SECONDS", "seconds"),
    Column("RUNNING", "running"),
    Column("USERS", "users"),
    Column("QUEUE", "queue"),
    Column("STARTS", "starts"),
    Column("FAILURES", "failures"),
    Column("CPU %", "cpu_percent"),
    Column("MEMORY USED", "memory_used_mib"),
    Column("LOGINS", "logins"),
    Column("P99 MS", "login_p99_ms", spare=True),
)
Node = Annotated[str, typer.Argument(help="Name or number of the node.")]


@app.command("list", epilog=examples("qvd node list", "qvd node list --json"))
def list_nodes(
    *,
    q: SearchOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List all nodes of the farm, as the node that you are logged in to sees them."""
    nodes = with_api(lambda api: api.items("/nodes", limit=limit, q=q, sort=sort))
    show_rows(nodes if as_json else [with_load(node) for node in nodes], COLUMNS, json=as_json)
    database = [node for node in nodes if node.get("runs_database")]
    if len(nodes) > 1 and database and not as_json:
        tell(SINGLE_POINT.format(name=database[0]["name"]))


def with_load(node: Json) -> Json:
    """The node with its load as a row of the table shows it."""
    load = node.get("load")
    if load is None:
        return {**node, "guests": None, "memory": None, "load_age": None}
    promised, capacity = load["memory_promised_mib"], load["memory_capacity_mib"]
    return {
        **node,
        "guests": f"{load['guests']} of {load['guests_max']}",
        "memory": f"{measured(promised, 'mib')} of {measured(capacity, 'mib')}",
        "load_age": f"{load['age_s']:.0f} s",
    }


@app.command(epilog=examples("qvd node figures", "qvd node figures --since 1767225600 --json"))
def figures(
    *,
    since: Annotated[
        float, typer.Option(help="Only after this time, in seconds since 1970.", min=0)
    ] = 0.0,
    as_json: JsonFlag = False,
) -> None:
    """Show what the node you are logged in to measured: desktops, users, CPU, memory, logins."""
    found = with_api(lambda api: api.get("/figures", since=since))
    if as_json:
        show_json(found)
        return
    show_rows([figure_row(point) for point in found["points"]], FIGURE_COLUMNS, json=False)


def figure_row(point: Json) -> Json:
    """The point as a row of the table shows it."""
    at = datetime.fromtimestamp(point["at"], UTC).isoformat()
    return {**point, "at": at, "running": point["vms"].get("running", 0)}


@app.command(epilog=examples("qvd node show", "qvd node show desk2 --json"))
def show(
    node: Annotated[str | None, typer.Argument(help="Name or number of another node.")] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Show the node you are logged in to: what it is, carries and can carry; or another one."""
    if node is None:
        show_fields(with_api(lambda api: api.get("/node")), json=as_json)
    else:
        show_fields(with_api(lambda api: _call(api, "GET", node)), json=as_json)


@app.command(
    epilog=examples(
        "qvd node invite", "qvd node invite --name desk2 --life-s 600", "qvd node invite --json"
    )
)
def invite(
    name: Annotated[
        str | None, typer.Option("--name", help="Let only a host of this name join.")
    ] = None,
    life: Annotated[
        int | None,
        typer.Option("--life-s", parser=whole(60), metavar="SECONDS", help="Good for so long."),
    ] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Invite one host: prints what to type on it. The token is good once and for a short time."""
    body = {"name": name, "life_s": life}
    made = with_api(lambda api: api.call("POST", "/nodes/invite", body))
    if as_json:
        show_fields(made, json=True)
        return
    tell(f"On the new host, as root, before {made['expires_at']}:")
    tell(str(made["command"]))


@app.command(epilog=examples("qvd node remove desk2", "qvd node remove desk2 --yes"))
def remove(node: Node, *, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Remove a node that does not serve: the others refuse it from then on."""
    ask_first(f"Remove node {node} from the farm? Its homes stay on its host.", yes=yes)
    with_api(lambda api: _call(api, "DELETE", node))
    tell(f"Node {node} is removed.", json=as_json)


@app.command(epilog=examples("qvd node drain desk2", "qvd node drain desk2 --move"))
def drain(
    node: Node,
    *,
    move: Annotated[
        bool,
        typer.Option(
            "--move",
            help="Stop desktops that nobody has been connected to for a minute; what is not saved"
            " in them is lost.",
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Start no more desktops on a node; those that run stay. It keeps this over its restarts."""
    made = with_api(lambda api: _call(api, "POST", node, "/drain", move=move))
    if as_json:
        show_fields(made, json=True)
        return
    tell(f"Node {node} starts no more desktops; those that run stay.")
    if move:
        tell("Those that nobody has been connected to for a minute are stopped.")
    if made["homes"]:
        homes = counted(made["homes"], "user")
        have = "has its home" if made["homes"] == 1 else "have their homes"
        tell(f"{homes} {have} on it: their desktops start nowhere else meanwhile.")


@app.command(epilog=examples("qvd node undrain desk2"))
def undrain(node: Node, *, as_json: JsonFlag = False) -> None:
    """Let a node start desktops again."""
    made = with_api(lambda api: _call(api, "POST", node, "/undrain"))
    if as_json:
        show_fields(made, json=True)
    else:
        tell(f"Node {node} starts desktops again.")


@app.command(epilog=examples("qvd node memory", "qvd node memory --json"))
def memory(*, as_json: JsonFlag = False) -> None:
    """Show where the memory of the node's host went, per desktop, and what was done about it."""
    show_memory(with_api(lambda api: api.get("/node/memory")), json=as_json)


@app.command(epilog=examples("qvd node fence desk2", "qvd node fence desk2 --yes"))
def fence(
    node: Node,
    *,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Give up a node that is gone for good: what it ran may be started elsewhere."""
    ask_first(f"Is the host of {node} surely off, and shall its desktops be given up?", yes=yes)
    show_fields(with_api(lambda api: _call(api, "POST", node, "/fence")), json=as_json)


async def _call(api: ApiClient, method: str, node: str, path: str = "", **body: object) -> Json:
    number = await name_lookup.node_id(api, node)
    return await api.call(method, f"/nodes/{number}{path}", body or None)
