"""`qvdnode plan`: how many nodes a farm needs, by simulated logins."""

import json
import logging
import math
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from qvdnode.cli.examples import examples
from qvdnode.cli.number_options import at_least, whole
from qvdnode.model.errors import HostFailed, Invalid
from qvdnode.model.plurals import counted
from qvdnode.plan.core.demand import Arrivals, Demand, DesktopModel, NodeModel
from qvdnode.plan.core.outcome import Outcome
from qvdnode.plan.line_chart import svg
from qvdnode.plan.simulation import Simulation
from qvdnode.plan.sizing import NODES_MAX, fewest_nodes

EXAMPLES: Final = examples(
    "qvdnode plan --users 10000",
    "qvdnode plan --users 10000 --logins 4000 --minutes 10 --nodes 25 --chart morning.svg",
    "qvdnode plan --users 300 --arrivals bell --node-memory-gib 24 --cores 2 --json",
)
MINUTE_S: Final = 60
MIB_PER_GIB: Final = 1024
USUAL_LOGINS_PCT: Final = 40
"""The share of the users that VMware's rule for Horizon expects in the busiest sixth of the
login window."""


# long: the options are the model, each with its help
def plan_command(  # noqa: PLR0913 - each is a figure of the plan
    *,
    users: Annotated[
        int, typer.Option(metavar="N", parser=whole(1), help="Desktops that are to run.")
    ],
    logins: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole(1),
            help="Users who log in within the window; the others' desktops run before it."
            f" Default: {USUAL_LOGINS_PCT} % of the users.",
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(metavar="MIN", parser=at_least(0.1), help="Length of the window.")
    ] = 10.0,
    arrivals: Annotated[
        Arrivals,
        typer.Option(
            help="even: at any moment; peak: most in the middle; bell: all in the first tenth."
        ),
    ] = Arrivals.EVEN,
    nodes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole(1, NODES_MAX),
            help="Try so many nodes. Without it the fewest that are enough are looked for.",
        ),
    ] = None,
    ready_s: Annotated[
        float,
        typer.Option(
            metavar="S",
            parser=at_least(0.1),
            help="99 of 100 users are to have their desktop in this time.",
        ),
    ] = 30.0,
    node_memory_gib: Annotated[
        float, typer.Option(metavar="GIB", parser=at_least(1), help="Memory of a node.")
    ] = 256.0,
    cores: Annotated[int, typer.Option(metavar="N", parser=whole(1), help="Of a node.")] = 16,
    starts_at_once: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole(1),
            help="`vm.starts_at_once` of a node. Default: two for each core.",
        ),
    ] = None,
    overcommit: Annotated[
        float, typer.Option(metavar="X", parser=at_least(0.1), help="`memory.overcommit`.")
    ] = 1.0,
    desktop_memory_mib: Annotated[
        int, typer.Option(metavar="MIB", parser=whole(1), help="The flavour's limit.")
    ] = 512,
    desktop_used_mib: Annotated[
        int, typer.Option(metavar="MIB", parser=whole(0), help="What a desktop really takes.")
    ] = 150,
    desktop_busy_pct: Annotated[
        float,
        typer.Option(metavar="PCT", parser=at_least(0), help="Of one core, for a desktop in use."),
    ] = 2.0,
    start_s: Annotated[
        float,
        typer.Option(metavar="S", parser=at_least(0.01), help="A start on a host with no work."),
    ] = 2.0,
    start_cpu_s: Annotated[
        float,
        typer.Option(metavar="S", parser=at_least(0), help="Processor time of a start."),
    ] = 2.0,
    data_age_s: Annotated[
        float,
        typer.Option(
            metavar="S", parser=at_least(0), help="How old nodes' figures of each other become."
        ),
    ] = 2.0,
    seed: Annotated[int, typer.Option(metavar="N", parser=whole(0), help="Of chance.")] = 1,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write curves of the window, as SVG.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate the logins of a farm and say how many nodes it needs.

    The farm's own placement and admission run in virtual time; only the hosts are modelled. The
    defaults of a desktop are guesses: measure yours with `qvd node memory` and the start's steps
    in `qvd vm show`.
    """
    coming = logins if logins is not None else math.ceil(users * USUAL_LOGINS_PCT / 100)
    if coming > users:
        raise Invalid("More users log in than there are; raise --users.", field="logins")
    desktop = DesktopModel(
        desktop_memory_mib, desktop_used_mib, start_s, start_cpu_s, desktop_busy_pct
    )
    demand = Demand(coming, minutes * MINUTE_S, arrivals, users - coming, data_age_s, desktop)
    model = NodeModel(
        round(node_memory_gib * MIB_PER_GIB),
        cores,
        starts_at_once or 2 * cores,
        overcommit=overcommit,
    )
    outcome = _simulate(demand, model, nodes, ready_s, seed)
    if chart is not None:
        _draw(chart, outcome)
    if json_output:
        typer.echo(json.dumps(_figures(outcome, model, demand, ready_s)))
    else:
        _print(outcome, model, demand, ready_s)
    if not outcome.is_good(ready_s):
        raise typer.Exit(1)


def _simulate(
    demand: Demand, model: NodeModel, nodes: int | None, ready_s: float, seed: int
) -> Outcome:
    # Each simulated choice would be a line.
    logging.getLogger("qvdnode.cluster.scheduler").setLevel(logging.WARNING)
    if nodes is not None:
        return Simulation(demand, model, nodes, seed).run()
    return fewest_nodes(demand, model, ready_s, seed, _tell)


def _tell(outcome: Outcome) -> None:
    ready = _seconds(outcome.ready_pct_s(99))
    refused = f", {counted(outcome.refused, 'user')} refused" if outcome.refused else ""
    print(f"{counted(outcome.nodes, 'node')}: 99 % ready in {ready}{refused}", file=sys.stderr)


def _figures(
    outcome: Outcome, model: NodeModel, demand: Demand, ready_s: float
) -> dict[str, object]:
    most = max(outcome.desktops)
    return {
        "nodes": outcome.nodes,
        "enough": outcome.is_good(ready_s),
        "ready_p50_s": _rounded(outcome.ready_pct_s(50)),
        "ready_p99_s": _rounded(outcome.ready_pct_s(99)),
        "ready_max_s": _rounded(outcome.ready_pct_s(100)),
        "refused": outcome.refused,
        "redirects": outcome.redirects,
        "longest_queue": outcome.longest_queue,
        "max_over_mean": round(outcome.max_over_mean, 3),
        "overcommitted": outcome.overcommitted,
        "desktops_per_node_max": most,
        "node_promised_mib": most * demand.desktop.memory_mib,
        "node_used_mib": most * demand.desktop.used_mib + model.host_reserve_mib,
        "starts_at_once": model.starts_at_once,
        "took_s": round(outcome.took_s, 1),
        "samples": [
            {
                "at_s": round(sample.at_s, 1),
                "running": sample.running,
                "waiting": sample.waiting,
                "most": sample.most,
                "least": sample.least,
            }
            for sample in outcome.samples
        ],
    }


def _print(outcome: Outcome, model: NodeModel, demand: Demand, ready_s: float) -> None:
    figures = _figures(outcome, model, demand, ready_s)
    enough = "are enough" if outcome.is_good(ready_s) else "are not enough"
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = (
        ("Desktop ready, half of the users", _seconds(outcome.ready_pct_s(50))),
        ("99 of 100", _seconds(outcome.ready_pct_s(99))),
        ("the last one", _seconds(outcome.ready_pct_s(100))),
        ("Users refused", f"{outcome.refused}"),
        ("Longest queue of a node", f"{outcome.longest_queue}"),
        ("Desktops on the fullest node", f"{figures['desktops_per_node_max']}"),
        ("over the mean of all", f"{outcome.max_over_mean:.3f}"),
        ("Memory promised on it", f"{figures['node_promised_mib']} MiB"),
        ("Memory used on it", f"{figures['node_used_mib']} of {model.memory_mib} MiB"),
        ("Starts at once on a node", f"{model.starts_at_once}"),
        ("Starts sent on from a busy node", f"{outcome.redirects}"),
    )
    for name, value in rows:
        table.add_row(name, value)
    typer.echo(
        f"{counted(outcome.nodes, 'node')} {enough} for"
        f" {demand.running + demand.logins} desktops, {demand.logins} of which start within"
        f" {demand.window_s / MINUTE_S:g} min."
    )
    Console().print(table)
    if not outcome.is_good(ready_s):
        typer.echo("Without --nodes, the fewest nodes that are enough are looked for.")


def _draw(path: Path, outcome: Outcome) -> None:
    samples = outcome.samples
    lines = {
        "desktops that run": [(s.at_s / MINUTE_S, float(s.running)) for s in samples],
        "desktops that wait": [(s.at_s / MINUTE_S, float(s.waiting)) for s in samples],
        "fullest node x nodes": [
            (s.at_s / MINUTE_S, float(s.most * outcome.nodes)) for s in samples
        ],
    }
    try:
        path.write_text(svg(lines, ("minutes", "desktops")), encoding="utf-8")
    except OSError as error:
        raise HostFailed(f"The chart cannot be written to {path}: {error.strerror}.") from error


def _seconds(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"{seconds:.1f} s"


def _rounded(seconds: float) -> float | None:
    return None if math.isinf(seconds) else round(seconds, 2)
