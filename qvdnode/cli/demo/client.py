"""Runs our own client as a child process that ends with this one, and saves its picture."""

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from qvdnode.cli.demo.node import TIED
from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.cli.demo.report import Report
from qvdnode.cli.demo.screen import DemoScreen
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.host import process
from qvdnode.host.child import Child
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.safe_files import replace_file

if TYPE_CHECKING:
    from pathlib import Path

DRAWN_LIMIT_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class Errand:
    """Where the client dials, and what for."""

    address: str
    """HOST:PORT."""
    fingerprint: str
    user: str
    password: str
    vm_id: int
    within: tuple[str, ...] = ()
    """The prefix of its command."""


async def photograph(
    plan: DemoPlan, report: Report, shown_on: DemoScreen, watcher: WindowWatcher, window: int
) -> None:
    """Save a picture of the desktop where the options say, or where nobody sees the display."""
    file = plan.screenshot or (plan.folder / "screenshot.png" if shown_on.own else None)
    if file is None:
        return
    try:
        picture = await watcher.drawn(window, DRAWN_LIMIT_S)
    except TimedOut as error:
        report.doing(str(error))
        return
    try:
        await asyncio.to_thread(replace_file, file, picture, mode=0o644)
    except OSError as error:
        raise HostFailed(f"The screenshot cannot be written: {error}") from error
    report.done("drawn", f"Screenshot in {file}")


async def repeat(client: Child, report: Report) -> None:
    """Pass on what the client says. Its end is reported, and the demo goes on."""
    if client.stdout is None:
        raise AssertionError("spawned with pipes")
    last = ""
    async for line in client.stdout:
        last = line.decode(errors="replace").strip()
        report.doing(last)
    code = await client.wait()
    if code != 0:
        raise HostFailed(f"The client ended ({code}): {last}")
    report.doing("The session ended; connect again as told above, or press Ctrl-C")


@contextlib.asynccontextmanager
async def running_client(errand: Errand, display: str) -> AsyncIterator[Child]:
    """Show the desktop until the scope ends; the client's sentences come from its stdout."""
    options = {
        "--user": errand.user,
        "--pin": errand.fingerprint,
        "--vm": str(errand.vm_id),
        "--display": display,
    }
    program = (sys.executable, "-m", "qvdnode.client")
    child = await process.spawn_piped(
        [*TIED, *errand.within, *program, errand.address, *chain(*options.items())],
        env={name: os.environ[name] for name in ("HOME", "XAUTHORITY") if name in os.environ},
    )
    try:
        if child.stdin is None:
            raise AssertionError("spawned with pipes")
        child.stdin.write(f"{errand.password}\n".encode())
        child.stdin.close()
        yield child
    finally:
        await process.end(child)


def user_password(plan: DemoPlan) -> str:
    """Return the password given, or else the one made at the first run."""
    file: Path = plan.password_file
    if plan.password is not None:
        return plan.password
    if not file.exists():
        replace_file(file, f"{secrets.token_urlsafe(9)}\n".encode())
    return file.read_text(encoding="utf-8").strip()
