"""The options of `qvdnode demo`."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

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
    "qvdnode demo", "qvdnode demo --desktop icewm", "qvdnode demo --once --json"
)
ENDED_EARLY: Final = 130
"""The exit code of shells for Ctrl-C. After the window was shown, Ctrl-C is no failure."""
Port = Annotated[int, typer.Option(parser=whole(0, 65_535), metavar="PORT", help="0: any free.")]


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
    )
    report = Report(SystemClock(), as_json=as_json)
    try:
        with _only_one(plan):
            _run(plan, report)
    except FarmError as error:
        report.event("error", code=error.code, text=str(error))
        raise


def _known(driver: str) -> str:
    if driver not in DRIVERS:
        raise BadConfig(f"There is no driver {driver!r}; choose one of {', '.join(DRIVERS)}.")
    return driver


def _run(plan: DemoPlan, report: Report) -> None:
    """Run the demo, then report what it left behind; raises its error."""
    clock = SystemClock()
    try:
        run_to_signal(run(plan, report, clock, os.environ.get("DISPLAY")))
    finally:
        left = asyncio.run(left_by(plan, clock))
        report.event("ended", left=left)
        for thing in left:
            report.say(f"Left on the running system: {thing}")
    if left:
        raise HostFailed(f"The demo could not remove all that it made; see {plan.log_file}")
    report.doing("Everything that the demo started has ended")
    if "window" not in report.steps:
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
