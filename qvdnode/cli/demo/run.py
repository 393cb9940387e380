"""`qvdnode demo`: a whole farm in one command, from nothing to a desktop.

Reads from top to bottom: node, image, user and VM, client, window, picture, waiting for the end.
"""

import asyncio
import secrets
import shlex
import sys
from pathlib import Path
from typing import Final

from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.demo.admin_token import working_token
from qvdnode.cli.demo.client import client
from qvdnode.cli.demo.farm import furnish
from qvdnode.cli.demo.node import running_node, watch_for_exit
from qvdnode.cli.demo.plan import LOOPBACK, DemoPlan
from qvdnode.cli.demo.report import Report
from qvdnode.cli.demo.screen import DemoScreen, must_be_usable, must_take_a_file, screen
from qvdnode.cli.saved_login import SavedLogin
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.daemon.announcement import Announcement
from qvdnode.db.settings import DatabaseSettings
from qvdnode.host.child import Child
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.first_error import first_farm_error
from qvdnode.runtime.safe_files import replace_file
from qvdnode.runtime.supervise import Supervisor

WINDOW_LIMIT_S: Final = 120.0
DRAWN_LIMIT_S: Final = 90.0
PROGRAMS: Final = Path(sys.executable).parent


async def run(plan: DemoPlan, report: Report, clock: Clock, display: str | None) -> None:
    """Show the desktop until cancelled, or once; raises FarmError when something does not work."""
    if display:
        await must_be_usable(display)
    if plan.screenshot is not None:
        must_take_a_file(plan.screenshot)
    try:
        async with (
            running_node(plan, sys.executable, clock) as (said, node),
            Supervisor("demo") as tasks,
        ):
            report.done("node", f"Node serves on {LOOPBACK}:{said.client_port}")
            _ = tasks.essential("node", watch_for_exit(plan, node))
            await _show(plan, report, clock, said, display)
            tasks.cancel()
    except BaseExceptionGroup as group:
        expected = first_farm_error(group)
        if expected is None:
            raise
        raise expected from group


async def _show(
    plan: DemoPlan, report: Report, clock: Clock, said: Announcement, display: str | None
) -> None:
    password = _password(plan)
    token = await working_token(plan, clock)
    login = SavedLogin(f"https://{LOOPBACK}:{said.admin_port}", said.fingerprint, token)
    async with ApiClient(login) as api:
        vm_id = await furnish(api, plan, password, report)
        page = str((await api.call("POST", "/session/links"))["url"])
    report.event(
        "ready",
        client_port=said.client_port,
        admin_port=said.admin_port,
        user=plan.user,
        password=password,
        vm_id=vm_id,
        admin_token=token,
        fingerprint=said.fingerprint,
        page=page,
    )
    async with (
        screen(display) as shown_on,
        WindowWatcher(shown_on.display, clock) as watcher,
        client(said, shown_on.display, (plan.user, password), vm_id) as child,
        Supervisor("client") as tasks,
    ):
        _ = tasks.essential("said", _repeat(child, report))
        window = await watcher.wait_new(WINDOW_LIMIT_S)
        report.done("window", f"The desktop is shown on display {shown_on.display}")
        report.event("first_window", seconds=round(report.elapsed_s, 3), steps=report.steps)
        await _photograph(plan, report, shown_on, watcher, window)
        stays = plan.what_stays(str(PROGRAMS), DatabaseSettings().system_user)
        if plan.once:
            report.say(stays)
        else:
            report.say(_what_next(plan, said, login, page))
            report.say(f"Ctrl-C ends it all. {stays}")
            await asyncio.Event().wait()
        tasks.cancel()


async def _photograph(
    plan: DemoPlan, report: Report, shown_on: DemoScreen, watcher: WindowWatcher, window: int
) -> None:
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


async def _repeat(client: Child, report: Report) -> None:
    """Hand on what the client says; its end is told, the demo goes on."""
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


def _password(plan: DemoPlan) -> str:
    """The one given, or the one made up at the first run."""
    file: Path = plan.password_file
    if plan.password is not None:
        return plan.password
    if not file.exists():
        replace_file(file, f"{secrets.token_urlsafe(9)}\n".encode())
    return file.read_text(encoding="utf-8").strip()


def _what_next(plan: DemoPlan, said: Announcement, login: SavedLogin, page: str) -> str:
    log, token, password = (
        shlex.quote(str(file)) for file in (plan.log_file, plan.token_file, plan.password_file)
    )
    secret = "" if plan.password else f" --password-file {password}"
    asks = " (it asks for the password you gave)" if plan.password else ""
    return f"""
Administration in a browser, logged in (the link works once; `qvd web link` prints another one):
  {page}
      the browser warns of the certificate, which the demo made itself
What to try next, in another terminal:
  {PROGRAMS}/qvd connect {LOOPBACK}:{said.client_port} --user {plan.user} --vm {plan.desk} --pin {said.fingerprint}{secret}
      the same desktop from a second client: it takes the first one's place{asks}
  {PROGRAMS}/qvd login {login.url} --fingerprint {said.fingerprint} --token-stdin < {token}
  {PROGRAMS}/qvd vm list
      administration; the same over REST at {login.url}/api/v1 (described in openapi.json there)
  tail -f {log}
"""  # noqa: E501 - commands to copy stay on one line
