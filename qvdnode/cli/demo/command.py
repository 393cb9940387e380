"""The options of `qvdnode demo`."""

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from qvdnode.cli.demo.farm_plan import NODES_MAX, FarmPlan
from qvdnode.cli.demo.farm_run import run_farm
from qvdnode.cli.demo.plan import STATE_DIR, DemoPlan
from qvdnode.cli.demo.report import Report
from qvdnode.cli.demo.run import run
from qvdnode.cli.demo.traces import left_by
from qvdnode.cli.examples import examples
from qvdnode.cli.number_options import whole
from qvdnode.client.signals import run_to_signal
from qvdnode.daemon import state_folder
from qvdnode.daemon.drivers import DRIVERS
from qvdnode.daemon.settings import NodeSettings
from qvdnode.daemon.state_lock import StateLock
from qvdnode.host.trusted_path import PathUse, require, without_links
from qvdnode.image import recipes
from qvdnode.model.errors import BadConfig, Conflict, FarmError, Forbidden, HostFailed
from qvdnode.model.farm import DEFAULT_DRIVER
from qvdnode.runtime.clock import SystemClock

EXAMPLES: Final = examples(
    "qvdnode demo",
    "qvdnode demo --desktop icewm",
    "qvdnode demo --nodes 3",
    "qvdnode demo --once --json",
)
ENDED_EARLY: Final = 130
"""The exit code of shells for Ctrl-C. After the window was shown, Ctrl-C is not a failure."""
Port = Annotated[int, typer.Option(parser=whole(0, 65_535), metavar="PORT", help="0: any free.")]


# long: the options
def demo_command(  # noqa: PLR0913 - one parameter is one option
    *,
    once: Annotated[bool, typer.Option("--once", help="End after the first window.")] = False,
    desktop: Annotated[
        str, typer.Option(help=f"Which one: {', '.join(recipes.names())}.", metavar="NAME")
    ] = "xfce",
    driver: Annotated[
        str, typer.Option(help=f"What runs it: {', '.join(DRIVERS)}.", metavar="NAME")
    ] = DEFAULT_DRIVER,
    state_dir: Annotated[Path, typer.Option(help="Where all is kept.", metavar="DIR")] = STATE_DIR,
    user: Annotated[str, typer.Option(help="Login of the demo's user.")] = "demo",
    password: Annotated[str | None, typer.Option(help="Their password; else one is made.")] = None,
    client_port: Port = 0,
    admin_port: Port = 0,
    screenshot: Annotated[Path | None, typer.Option(help="Where to put a PNG.")] = None,
    nodes: Annotated[
        int,
        typer.Option(
            parser=whole(1, NODES_MAX),
            metavar="COUNT",
            help="With more than 1: a farm, which loses the node of the desktop.",
        ),
    ] = 1,
    kill_after_s: Annotated[
        float,
        typer.Option(min=0, metavar="S", help="With --nodes: after so long on the screen."),
    ] = 10.0,
    root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A root file system to use: else one is built."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show a desktop on this machine, from nothing; Ctrl-C leaves nothing running."""
    if os.geteuid() != 0:
        raise Forbidden("The demo starts containers and needs root: sudo make demo")
    plan = DemoPlan(
        state_dir=_without_links(state_dir),
        user=user,
        password=password,
        client_port=client_port,
        admin_port=admin_port,
        screenshot=None if screenshot is None else screenshot.absolute(),
        once=once,
        desktop=recipes.by_name(desktop).name,
        driver=_known(driver),
        root=None if root is None else _existing(root),
    )
    if nodes > 1:
        _require_farm_options(plan)
    _tell(plan, FarmPlan(plan, nodes), kill_after_s, as_json=as_json)


def _tell(plan: DemoPlan, farm: FarmPlan, kill_after_s: float, *, as_json: bool) -> None:
    """Run the demo of one node or of several; raises its error, after it was reported."""
    clock, display = SystemClock(), os.environ.get("DISPLAY")
    report = Report(clock, as_json=as_json)
    try:
        with _only_one(plan):
            if farm.count == 1:
                _run(plan, report, run(plan, report, clock, display), last="window")
            else:
                story = run_farm(farm, report, clock, display, kill_after_s)
                _run(plan, report, story, last="back")
    except FarmError as error:
        report.event("error", code=error.code, text=str(error))
        raise


def _known(driver: str) -> str:
    if driver not in DRIVERS:
        raise BadConfig(f"There is no driver {driver!r}; choose one of {', '.join(DRIVERS)}.")
    return driver


def _require_farm_options(plan: DemoPlan) -> None:
    """Raise BadConfig for what a farm on one machine cannot have."""
    if plan.driver != DEFAULT_DRIVER:
        raise BadConfig(f"With --nodes, desktops run on {DEFAULT_DRIVER}: leave out --driver.")
    if plan.client_port or plan.admin_port:
        raise BadConfig(
            "With --nodes, each node has the default ports at an address of its own: leave out"
            " --client-port and --admin-port."
        )


def _existing(root: Path) -> Path:
    if not root.is_dir():
        raise BadConfig(
            f"{root} is not a folder: give --root the folder that an image was built in."
        )
    return root.absolute()


def _run(plan: DemoPlan, report: Report, story: Coroutine[Any, Any, None], *, last: str) -> None:
    """Run the demo, then report what it left behind; raises its error.

    The exit code tells scripts whether it was ended before its step `last`.
    """
    try:
        run_to_signal(story)
    finally:
        left = asyncio.run(left_by(plan, SystemClock()))
        report.event("ended", left=left)
        for thing in left:
            report.say(f"Left on the running system: {thing}")
    if left:
        raise HostFailed(f"The demo could not remove all that it made; see {plan.log_file}")
    report.doing("Everything that the demo started has ended")
    if last not in report.steps:
        raise typer.Exit(ENDED_EARLY)


def _without_links(state_dir: Path) -> Path:
    try:
        return without_links(state_dir)
    except (OSError, ValueError) as error:
        raise BadConfig(f"The state folder {state_dir} cannot be used: {error}.") from error


@contextlib.contextmanager
def _only_one(plan: DemoPlan) -> Iterator[None]:
    """Create the state folder and lock it.

    Raises BadConfig or HostFailed if it cannot be used, Conflict if another demo has locked it.
    """
    try:
        NodeSettings(state_dir=plan.state_dir)
    except ValueError as error:
        raise BadConfig(
            f"The state folder {plan.state_dir} cannot be used: {error}."
            " Choose another with --state-dir."
        ) from error
    try:
        state_folder.secure(plan.state_dir)
        require(plan.folder, PathUse.OWN_FOLDER, make_mode=0o700)
        plan.folder.chmod(0o700)
    except (HostFailed, OSError) as error:
        raise HostFailed(
            f"The state folder {plan.state_dir} cannot be used: {error}."
            " Choose another with --state-dir."
        ) from error
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(StateLock(plan.folder))
        except Conflict as error:
            raise Conflict(
                f"Another demo uses {plan.state_dir}: end it, or give --state-dir."
            ) from error
        yield
