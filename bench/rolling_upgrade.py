"""All nodes of a farm get the next release, one after another, while users work.

Nodes in network namespaces with a PostgreSQL of their own, real desktops, and the real client on a
display, which knows all nodes. Each node is emptied (drain), stopped, started as the next release,
and filled again, before the next one. Figures:

lost_sessions_on_upgrade   users whose desktop began anew, or who were not back in the end (goal 0)
back_p50_s, back_max_s     from a dropped link to the desktop on the screen again (goal 2)
drops                      of links, of all users
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench import options, results_file
from bench.results_file import Figure, total
from qvdnode.client.connect import Account, Client, Wishes
from qvdnode.client.core.backoff import Backoff
from qvdnode.client.servers import Server
from qvdnode.client.target import Target
from qvdnode.client.trust import Trust
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.settings import DatabaseSettings
from qvdnode.model.errors import FarmError
from qvdnode.runtime.clock import SystemClock
from tests.fixtures_image import build_if_missing
from tests.harness.farm import PASSWORD, Desk, lend_image, make_desk, make_flavour
from tests.harness.farm_network import Farm, copy_images, running_farm
from tests.harness.next_release import release
from tests.harness.node import NodeProcess
from tests.harness.rest import Refused, Rest
from tests.harness.screen import xvfb
from tests.waiting import until

NODES: Final = 5
USERS: Final = 20
LIMIT_S: Final = 120.0
SETTLE_S: Final = 3.0
DROPPED: Final = "The link dropped"
CONNECTED: Final = "Connected"


@dataclass
class User:
    """What one user's client has said, and when."""

    desk: Desk
    said: list[tuple[float, str]] = field(default_factory=list)
    generation: int = 0
    ended: str = ""

    def tell(self, sentence: str) -> None:
        """As the client's progress."""
        self.said.append((time.monotonic(), sentence))

    @property
    def is_connected(self) -> bool:
        """Whether the last that was said of the link is that it is there."""
        words = [text for _, text in self.said if text == CONNECTED or text.startswith(DROPPED)]
        return bool(words) and words[-1] == CONNECTED and not self.ended

    def outages_s(self) -> list[float]:
        """From each drop to the next connection."""
        found, since = list[float](), None
        for at_s, text in self.said:
            if text.startswith(DROPPED):
                since = at_s if since is None else since
            elif text == CONNECTED and since is not None:
                found.append(round(at_s - since, 3))
                since = None
        return found


async def work(user: User, nodes: list[NodeProcess], display: str) -> None:
    """The user's client, which is shown every node."""
    servers = [
        Server(Target(node.host, node.client_port), Trust(node.said.fingerprint))
        for node in nodes
        if node.said is not None
    ]
    random.Random(user.desk.vm_id).shuffle(servers)
    first, *others = servers
    account = Account(first.target, first.trust, user.desk.login, PASSWORD, tuple(others))
    wishes = Wishes(display=display, vm=str(user.desk.vm_id), geometry="320x240")
    client = Client(account, wishes, user.tell, SystemClock(), random.Random())
    try:
        user.ended = str(await client.run(Backoff()))
    except FarmError as error:
        user.ended = str(error)


async def persistently(rest: Rest, path: str) -> dict[str, Any]:
    """Ask until it is possible."""

    async def asked() -> Any:  # noqa: ANN401 - JSON
        try:
            return await rest.post(path)
        except Refused:
            return None

    answer: dict[str, Any] = await until(asked, limit_s=LIMIT_S, what=path)
    return answer


@dataclass
class Restart:
    """One node's."""

    took_s: float
    """How long it did not serve."""
    events: list[tuple[float, str]]
    """What its log has of that time: seconds since the stop, and the event."""


async def upgraded(node: NodeProcess, program: tuple[str, ...]) -> Restart:
    """The node as the next release."""
    async with node.rest() as rest:
        (own,) = (item for item in (await rest.get("/nodes"))["items"] if item["here"])
        await rest.post(f"/nodes/{own['id']}/drain", {})
    began_s, seen, began_at = time.monotonic(), node.log.stat().st_size, time.time()
    await node.stop()
    ended = round(time.monotonic() - began_s, 3), "(the process has ended)"
    node.program = program
    await node.start()
    took_s = time.monotonic() - began_s
    async with node.rest() as rest:
        await rest.post(f"/nodes/{own['id']}/undrain")

        async def healthy() -> bool:
            items = (await rest.get("/nodes"))["items"]
            return all(item["here"] or item["reason"] is None for item in items)

        await until(healthy, limit_s=LIMIT_S, what="the others to be reached")
    written = node.log.read_bytes()[seen:].decode(errors="replace").splitlines()
    return Restart(round(took_s, 2), sorted([ended, *events_of(written, began_at)]))


def events_of(lines: list[str], since: float) -> list[tuple[float, str]]:
    """The events of a log by the seconds since then."""
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [
        (round(datetime.fromisoformat(one["time"]).timestamp() - since, 3), one["event"])
        for one in found
    ]


async def furnished(farm: Farm, users: int) -> list[User]:
    """Users whose desktops run."""
    first = farm.nodes[0]
    async with first.rest() as rest:
        await lend_image(first, rest, "icewm", await asyncio.to_thread(build_if_missing))
        flavour = await make_flavour(rest, "office", "icewm", memory_mib=256)
        for node in farm.nodes[1:]:
            copy_images(first, node)
        made = [User(await make_desk(first, rest, f"user{n}", flavour)) for n in range(users)]
        names = {item["name"]: item["id"] for item in (await rest.get("/nodes"))["items"]}
        for number, user in enumerate(made):
            home = names[f"test-{farm.nodes[number % len(farm.nodes)].prefix}"]
            await rest.call("PUT", f"/users/{user.desk.user_id}/home", {"node_id": home})
            view = await persistently(rest, f"/vms/{user.desk.vm_id}/start?wait=true")
            user.generation = view["generation"]
    return made


async def run(nodes: int, users: int, folder: Path) -> dict[str, Any]:
    """One upgrade; the raw samples."""
    async with AsyncExitStack() as scope:
        server = EmbeddedPostgres(DatabaseSettings(state_dir=folder), SystemClock())
        dsn = await server.start()
        scope.push_async_callback(server.stop)
        farm = await scope.enter_async_context(running_farm(nodes, dsn=dsn))
        people = await furnished(farm, users)
        display = await scope.enter_async_context(xvfb())
        clients = [asyncio.ensure_future(work(user, farm.nodes, display)) for user in people]
        try:
            await until(
                lambda: all_connected(people), limit_s=LIMIT_S, what="all users to be connected"
            )
            program, restarts = release(folder / "next"), list[Restart]()
            for node in farm.nodes:
                restarts.append(await upgraded(node, program))
                await asyncio.sleep(SETTLE_S)
            back = await settled(people)
            lost = await anew(farm.nodes[0], people)
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
        return {
            "nodes": nodes,
            "users": users,
            "all_back": back,
            "node_stopped_s": [one.took_s for one in restarts],
            "restarts": [one.events for one in restarts],
            "outages_s": [user.outages_s() for user in people],
            "lost": lost,
            "log_of_lost": log_of(farm.nodes, [u for u in people if u.desk.login in lost]),
            "ended": [user.ended for user in people if user.ended],
        }


async def all_connected(people: list[User]) -> bool:
    """Whether every client shows its desktop."""
    return all(user.is_connected for user in people)


async def settled(people: list[User]) -> bool:
    """Whether all are back in the end."""
    try:
        await until(lambda: all_connected(people), limit_s=LIMIT_S / 2)
    except AssertionError:
        return False
    return True


async def anew(node: NodeProcess, people: list[User]) -> list[str]:
    """Users whose desktop was started again, or who are not connected."""
    async with node.rest() as rest:
        views = [await rest.get(f"/vms/{user.desk.vm_id}") for user in people]
    return [
        user.desk.login
        for user, view in zip(people, views, strict=True)
        if view["generation"] != user.generation or not user.is_connected
    ]


def log_of(nodes: list[NodeProcess], users: list[User]) -> list[str]:
    """What the nodes have written of these users' desktops."""
    marks = [f'"vm": {user.desk.vm_id},' for user in users]
    return [
        line
        for node in nodes
        for line in node.log.read_text(errors="replace").splitlines()
        if any(mark in line for mark in marks)
    ]


def figures(raw: dict[str, Any]) -> dict[str, Figure]:
    """The figures of a run."""
    outages = [one for user in raw["outages_s"] for one in user] or [0.0]
    return {
        "lost_sessions_on_upgrade": total([float(len(raw["lost"]))]),
        "back_p50_s": Figure(statistics.median(outages), [statistics.median(outages)]),
        "back_max_s": Figure(max(outages), [max(outages)]),
        "drops": total([float(sum(map(len, raw["outages_s"])))]),
    }


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = options.parser(__doc__, rounds=1)
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--users", type=int, default=USERS)
    return parser.parse_args()


def main() -> None:
    """Measure and write bench/results/rolling_upgrade.json."""
    given, load = arguments(), os.getloadavg()
    folder = Path(tempfile.mkdtemp(prefix="qvdnode-upgrade-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        raw = asyncio.run(run(given.nodes, given.users, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    raw |= {"load_before": load, "load_after": os.getloadavg()}
    results_file.report("rolling_upgrade", figures(raw), raw, options.Options.of(given))


if __name__ == "__main__":
    main()
