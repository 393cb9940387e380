"""The options of `qvdnode image check`, and the node's folder for as long as it lasts."""

import contextlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import JsonFlag
from qvdnode.cli.config_file import ConfigFile
from qvdnode.cli.demo.screen import must_take_a_file
from qvdnode.cli.doctor.command import show
from qvdnode.cli.doctor.finding import Finding, Level
from qvdnode.cli.examples import examples
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.image_check.boot import Order, check
from qvdnode.cli.image_tar import require_session, tar_of
from qvdnode.cli.qvdnode.image_store import opened
from qvdnode.client.signals import run_to_signal
from qvdnode.daemon import state_folder
from qvdnode.model.errors import Forbidden
from qvdnode.runtime.clock import SystemClock

EXAMPLES: Final = examples(
    "qvdnode image check icewm",
    "qvdnode image check ./rootfs --picture ./desktop.png",
    "qvdnode image check ./debian-13.tar --add-session --json",
)
FOLDERS: Final = Path("/var/lib")
"""Where the folder of the node is made that boots the image."""


def check_command(
    image: Annotated[
        str,
        typer.Argument(
            help="A folder or a tar file of a root file system, or an image of this node such as"
            " icewm or icewm:3."
        ),
    ],
    *,
    add_session: Annotated[
        bool, typer.Option("--add-session", help="Put the node's session script in, as an import.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Where to put a PNG of the desktop.", metavar="FILE")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not measure the idle desktop, which takes 70 s.")
    ] = False,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Boot an image once, on a node of its own, and tell what works in it; as root.

    Tells for which drivers it serves, and about display, locale, fonts, OpenGL, sound client,
    locking and what the idle desktop costs. Nothing is kept, and the farm is not touched. Exits
    with 1 when no desktop comes up.
    """
    if os.geteuid() != 0:
        raise Forbidden("A check starts a container: run it as root.")
    if picture is not None:
        picture = picture.absolute()
        must_take_a_file(picture)
    with _content(image, config) as path, _node_folder() as folder:
        findings = run_to_signal(
            _checked(path, folder, add=add_session, picture=picture, idle=not quick)
        )
    if findings is None:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(findings)
    if any(finding.level is Level.ERROR for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


async def _checked(
    path: Path, folder: Path, *, add: bool, picture: Path | None, idle: bool
) -> list[Finding]:
    await require_session(path, add=add)
    order = Order(folder, tar_of(path), add, picture, idle)
    return await check(
        order, SystemClock(), sys.executable, lambda line: typer.echo(line, err=True)
    )


@contextlib.contextmanager
def _content(image: str, config: Path | None) -> Iterator[Path]:
    """The folder or file that is checked; raises NotFound, HostFailed."""
    path = Path(image)
    if path.exists():
        yield path.absolute()
        return
    local = opened(config)
    with local.mounts.view(local.branches.resolve(image)) as root:
        yield root


@contextlib.contextmanager
def _node_folder() -> Iterator[Path]:
    """A state folder that is removed at the end; raises HostFailed."""
    folder = FOLDERS / f"qvdnode-check-{secrets.token_hex(4)}"
    state_folder.secure(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
