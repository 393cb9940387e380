"""`qvdnode demo`: a whole farm in one command, from nothing to a desktop.

Reads from top to bottom: node, image, user and VM, client, window, picture, waiting for the end.
"""

import asyncio
import shlex
import sys
from pathlib import Path
from typing import Final

from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.demo.admin_token import working_token
from qvdnode.cli.demo.client import Errand, photograph, repeat, running_client, user_password
from qvdnode.cli.demo.farm import furnish
from qvdnode.cli.demo.node import running_node, watch_for_exit
from qvdnode.cli.demo.plan import LOOPBACK, DemoPlan
from qvdnode.cli.demo.report import Report
from qvdnode.cli.demo.screen import must_be_usable, must_take_a_file, screen
from qvdnode.cli.saved_login import SavedLogin
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.daemon.announcement import Announcement
from qvdnode.db.settings import DatabaseSettings
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.first_error import first_farm_error
from qvdnode.runtime.supervise import Supervisor

WINDOW_LIMIT_S: Final = 120.0
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
    password = user_password(plan)
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
    address = f"{LOOPBACK}:{said.client_port}"
    errand = Errand(address, said.fingerprint, plan.user, password, vm_id)
    async with (
        screen(display) as shown_on,
        WindowWatcher(shown_on.display, clock) as watcher,
        running_client(errand, shown_on.display) as client,
        Supervisor("client") as tasks,
    ):
        _ = tasks.essential("said", repeat(client, report))
        window = await watcher.wait_new(WINDOW_LIMIT_S)
        report.done("window", f"The desktop is shown on display {shown_on.display}")
        report.event("first_window", seconds=round(report.elapsed_s, 3), steps=report.steps)
        await photograph(plan, report, shown_on, watcher, window)
        stays = plan.what_stays(str(PROGRAMS), DatabaseSettings().system_user)
        if plan.once:
            report.say(stays)
        else:
            report.say(_what_next(plan, said, login, page))
            report.say(f"Ctrl-C ends it all. {stays}")
            await asyncio.Event().wait()
        tasks.cancel()


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
