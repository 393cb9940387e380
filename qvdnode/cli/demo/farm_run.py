"""`qvdnode demo --nodes N`: a farm on one machine that loses the node of a desktop.

Reads from top to bottom: the nodes, the client, the window, why the desktop runs there, the loss,
the same home on another node, the lost node back.
"""

import asyncio
import os
import random
import shlex
from pathlib import Path
from typing import Final

from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.demo.client import Errand, photograph, repeat, running_client, user_password
from qvdnode.cli.demo.database_keeper import kept_database
from qvdnode.cli.demo.farm_network import farm_network
from qvdnode.cli.demo.farm_nodes import BOUND, OWN_MOUNTS, DemoNodes, ensure_folders, guests_of
from qvdnode.cli.demo.farm_plan import CLIENT_PORT, FARM_NAME, FarmPlan, hosts_text, node_name
from qvdnode.cli.demo.farm_setup import FarmSetup
from qvdnode.cli.demo.plan import SUBNET_PREFIX_LENGTH, DemoPlan
from qvdnode.cli.demo.report import Report
from qvdnode.cli.demo.run import PROGRAMS, WINDOW_LIMIT_S
from qvdnode.cli.demo.screen import DemoScreen, must_be_usable, must_take_a_file, screen
from qvdnode.cli.qvd.vm_placement import sentences
from qvdnode.cli.saved_login import SavedLogin
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.db.settings import DatabaseSettings
from qvdnode.host import cgroups
from qvdnode.image.homes import HOME_UID
from qvdnode.model.errors import HostFailed
from qvdnode.net.host_network import unused_subnet
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.first_error import first_farm_error
from qvdnode.runtime.supervise import Supervisor
from qvdnode.tls.identity import NodeIdentity

BACK_LIMIT_S: Final = 180.0
LETTER: Final = "written-before-the-loss.txt"
ETC_HOSTS: Final = Path("/etc/hosts")


async def run_farm(
    plan: FarmPlan, report: Report, clock: Clock, display: str | None, kill_after_s: float
) -> None:
    """Show all of it until cancelled, or once; raises FarmError when something does not work."""
    if display:
        await must_be_usable(display)
    if plan.base.screenshot is not None:
        must_take_a_file(plan.base.screenshot)
    ensure_folders(plan)
    network = await unused_subnet(prefixlen=SUBNET_PREFIX_LENGTH, seed=plan.base.seed)
    identity = NodeIdentity(plan.tls, clock)
    identity.ensure((FARM_NAME,))
    try:
        async with (
            farm_network(plan, network) as switch,
            kept_database(plan) as dsn,
            DemoNodes(plan, switch, dsn, clock) as nodes,
            Supervisor("demo") as tasks,
        ):
            report.done("network", f"A switch, {plan.count} networks behind it, and a database")
            setup = FarmSetup(nodes, tasks, report, clock, identity.fingerprint())
            await _Story(setup, kill_after_s).tell(display)
            tasks.cancel()
    except BaseExceptionGroup as group:
        expected = first_farm_error(group)
        if expected is None:
            raise
        raise expected from group


class _Story:
    """What happens once the farm serves, and what the steps have in common."""

    def __init__(self, setup: FarmSetup, kill_after_s: float) -> None:
        self._setup = setup
        self._nodes = setup.nodes
        self._plan = setup.nodes.farm
        self._report = setup.report
        self._clock = setup.clock
        self._kill_after_s = kill_after_s

    async def tell(self, display: str | None) -> None:
        """Set up the farm, show the desktop, and lose its node; once, or until cancelled."""
        password = user_password(self._plan.base)
        login, vm_id = await self._setup.bring_up(password)
        self._report.event(
            "ready",
            nodes={node_name(member): self._nodes.host(member) for member in self._plan.members},
            client_port=CLIENT_PORT,
            user=self._plan.base.user,
            password=password,
            vm_id=vm_id,
            admin_token=login.token,
            fingerprint=self._setup.fingerprint,
        )
        address = f"{FARM_NAME}:{CLIENT_PORT}"
        within = self._resolving()
        user = self._plan.base.user
        errand = Errand(address, self._setup.fingerprint, user, password, vm_id, within)
        async with (
            screen(display) as shown_on,
            WindowWatcher(shown_on.display, self._clock) as watcher,
            running_client(errand, shown_on.display) as client,
            Supervisor("client") as tasks,
        ):
            _ = tasks.essential("said", repeat(client, self._report))
            await self._show(shown_on, watcher)
            async with ApiClient(login) as api:
                lost = await self._explained(api, vm_id)
                home = await self._home(api, vm_id)
            await self._lose(lost, home)
            # Whoever asks the lost one first waits until it has not answered.
            async with ApiClient(self._setup.login(login.token, last=lost)) as api:
                await self._come_back(api, vm_id, lost, watcher)
                self._report.say(await self._what_next(api, login))
            if not self._plan.base.once:
                self._report.say("Ctrl-C ends it all.")
                await asyncio.Event().wait()
            tasks.cancel()

    async def _show(self, shown_on: DemoScreen, watcher: WindowWatcher) -> None:
        report = self._report
        window = await watcher.wait_new(WINDOW_LIMIT_S)
        report.done("window", f"The desktop is shown on display {shown_on.display}")
        report.event("first_window", seconds=round(report.elapsed_s, 3), steps=report.steps)
        await photograph(self._plan.base, report, shown_on, watcher, window)

    async def _lose(self, lost: DemoPlan, home: Path) -> None:
        report, name = self._report, node_name(lost)
        await asyncio.to_thread(_write_letter, home / LETTER, name)
        report.say(f"In {self._kill_after_s:g} s {name} is killed; look at the desktop meanwhile.")
        await self._clock.sleep(self._kill_after_s)
        report.begin_step()
        await self._nodes.lose(lost)
        report.done("killed", f"{name} is dead: link cut, process and desktops killed by SIGKILL")
        report.event("node_killed", node=name)

    async def _come_back(
        self, api: ApiClient, vm_id: int, lost: DemoPlan, watcher: WindowWatcher
    ) -> None:
        report = self._report
        await watcher.wait_new(BACK_LIMIT_S)
        now = await self._node_of(api, vm_id)
        kept = now.number != lost.number and await asyncio.to_thread(_sees_letter, now)
        if not kept:
            raise HostFailed(f"The desktop on {node_name(now)} does not have the home of before")
        report.done("back", f"The desktop is back on {node_name(now)}, with the same home")
        report.event("back", seconds=report.steps["back"], node=node_name(now), home_kept=kept)
        await self._explained(api, vm_id)
        await self._nodes.bring_back(lost)
        self._setup.watch(lost)
        report.done("returned", f"{node_name(lost)} serves again, and takes part in the farm")

    async def _home(self, api: ApiClient, vm_id: int) -> Path:
        """The home of the desktop's user, as the file server has it."""
        return self._plan.homes / str((await api.get(f"/vms/{vm_id}"))["user_id"]) / "home"

    async def _node_of(self, api: ApiClient, vm_id: int) -> DemoPlan:
        name = (await api.get(f"/vms/{vm_id}"))["node"]
        return next(member for member in self._plan.members if node_name(member) == name)

    async def _explained(self, api: ApiClient, vm_id: int) -> DemoPlan:
        """Report where the desktop runs, and why there; the plan of that node."""
        found = await api.get(f"/vms/{vm_id}/placement")
        now = await self._node_of(api, vm_id)
        self._report.event("placed", node=node_name(now), reasons=found["last"]["reasons"])
        self._report.say("\n".join(f"            {line}" for line in sentences(found)))
        return now

    def _resolving(self) -> tuple[str, ...]:
        """The prefix of a command that finds all nodes by one name, in the order of the lot."""
        addresses = [self._nodes.address(member) for member in self._plan.members]
        random.Random().shuffle(addresses)
        text = hosts_text(ETC_HOSTS.read_text(encoding="utf-8", errors="replace"), addresses)
        self._plan.hosts_file.write_text(text, encoding="utf-8")
        return (*OWN_MOUNTS, *BOUND, str(self._plan.hosts_file), str(ETC_HOSTS))

    async def _what_next(self, api: ApiClient, login: SavedLogin) -> str:
        base, pin = self._plan.base, self._setup.fingerprint
        page = str((await api.call("POST", "/session/links"))["url"])
        hosts = [self._nodes.host(member) for member in self._plan.members]
        more = " ".join(f"--node {host}" for host in hosts[1:])
        password, token = (
            shlex.quote(str(file))
            for file in (base.password_file, self._plan.members[0].token_file)
        )
        secret = "" if base.password else f" --password-file {password}"
        return f"""
Administration in a browser, logged in (the link works once):
  {page}
What to try next, in another terminal:
  {PROGRAMS}/qvd connect {hosts[0]} {more} --user {base.user} --vm {base.desk} --pin {pin}{secret}
  {PROGRAMS}/qvd login {login.url} --fingerprint {pin} --token-stdin < {token}
  {PROGRAMS}/qvd node list
  {PROGRAMS}/qvd vm explain {base.desk}
  tail -f {shlex.quote(str(self._plan.members[0].log_file))}
{base.what_stays(str(PROGRAMS), DatabaseSettings().system_user)}
"""


def _write_letter(file: Path, node: str) -> None:
    """Leave a file in the home, as the user would."""
    file.write_text(f"Written while the desktop ran on {node}.\n", encoding="utf-8")
    os.chown(file, HOME_UID, HOME_UID)


def _sees_letter(member: DemoPlan) -> bool:
    """Whether a program of a guest of that node has the file in its home."""
    groups, above = cgroups.probe(), guests_of(member)
    pids = (pid for name in groups.children(above) for pid in groups.processes(f"{above}/{name}"))
    return any(list(Path(f"/proc/{pid}/root/home").glob(f"*/{LETTER}")) for pid in pids)
