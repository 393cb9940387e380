"""The farm on the PostgreSQL of docs/patroni, whose primary's host dies while users log in.

Three database hosts and two nodes, each in a network namespace; real desktops. Users log in and
reconnect all the time, and one wants a desktop that does not run, at both nodes. Figures:

write_away_s       from the death of the host to the next change that a node makes
logins_failed_pct  of logins during that time, of users whose desktop runs (goal 0)
double_starts      desktops that ran twice at any moment, looked at every 50 ms (goal 0)
grace_s            after the failover, how long no node could be given up (goal 25 or more)
sessions_lost      connected clients that lost their stream (goal 0)
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from bench import options, results_file
from bench.results_file import Figure, median, total
from qvdnode.daemon.config import GUEST_NAME
from qvdnode.db.nodes import FENCE_GRACE_S, LEASE_TTL_S
from qvdnode.host import cgroups
from qvdnode.vm.core.lxc_config import guests_group
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, lend_image, make_desk, make_flavour
from tests.harness.farm_network import Farm, FarmNetwork, copy_images
from tests.harness.node import NodeProcess, test_root
from tests.harness.patroni import Cluster, running_cluster
from tests.harness.qvd import Viewer
from tests.harness.rest import Refused, Rest
from tests.harness.screen import xvfb
from tests.waiting import until

USERS: Final = 4
LOGIN_PAUSE_S: Final = 0.2
LOOK_S: Final = 0.05
SETTLED_S: Final = LEASE_TTL_S + FENCE_GRACE_S + 3.0
FAILOVER_LIMIT_S: Final = 120.0
GRACE_LIMIT_S: Final = 60.0
AFTER_S: Final = 5.0


@dataclass
class Login:
    """One attempt of a user whose desktop runs: list of desktops and the desktop itself."""

    at_s: float
    took_s: float
    status: int


@dataclass
class Seen:
    """What one run saw; moments are seconds after the death of the primary's host."""

    logins: list[Login] = field(default_factory=list)
    wanted: list[tuple[float, int]] = field(default_factory=list)
    """Answers to the user whose desktop did not run."""
    twice: list[tuple[float, int]] = field(default_factory=list)
    write_away_s: float = 0.0
    leader_s: float = 0.0
    fence: list[tuple[float, str]] = field(default_factory=list)
    grace_s: float = 0.0
    generation: int = 0
    sessions: int = 0
    sessions_lost: int = 0
    failed_over: list[str] = field(default_factory=list)


class Clock:
    """Seconds since the host died."""

    def __init__(self) -> None:
        self.began_s = time.monotonic()

    def now(self) -> float:
        """Negative before."""
        return round(time.monotonic() - self.began_s, 3)


async def log_in(desk: Desk, at: NodeProcess, clock: Clock, seen: Seen) -> None:
    """Log in and look at the list, again and again."""
    while True:
        began_s = clock.now()
        try:
            async with desk.dial(at=at) as connection:
                answer = await connection.ask("/qvd/list_of_vm")
                status = answer.status
        except (OSError, EOFError, asyncio.IncompleteReadError):
            status = 0
        seen.logins.append(Login(began_s, round(clock.now() - began_s, 3), status))
        await asyncio.sleep(LOGIN_PAUSE_S)


async def want(desk: Desk, at: NodeProcess, clock: Clock, seen: Seen) -> None:
    """Ask for a desktop that does not run until it is there."""
    while True:
        try:
            async with desk.dial(at=at) as connection:
                status = (await connection.connect(desk.vm_id)).status
        except (OSError, EOFError, asyncio.IncompleteReadError):
            status = 0
        seen.wanted.append((clock.now(), status))
        await asyncio.sleep(1.0)


async def watch(nodes: list[NodeProcess], desks: list[Desk], clock: Clock, seen: Seen) -> None:
    """Note desktops that have guests on two nodes."""
    groups = cgroups.probe()
    while True:
        for desk in desks:
            runs = 0
            for node in nodes:
                above = guests_group(f"{node.prefix}{GUEST_NAME}")
                names = guests_of(groups.children(above), desk.vm_id)
                runs += any(groups.processes(f"{above}/{name}") for name in names)
            if runs > 1:
                seen.twice.append((clock.now(), desk.vm_id))
        await asyncio.sleep(LOOK_S)


def guests_of(names: Iterable[str], vm_id: int) -> list[str]:
    """The groups of that VM's guest, without LXC's monitor."""
    return [n for n in names if n.endswith(f"-{vm_id}") and not n.startswith("monitor-")]


async def writes(rest: Rest) -> bool:
    """Whether the node can make a change."""
    try:
        await rest.post("/tenants", {"name": f"t{time.monotonic_ns()}"})
    except Refused:
        return False
    return True


async def fence(rest: Rest, node_id: int, clock: Clock, seen: Seen) -> None:
    """Try to give up the lost node until it is done, or refused for good."""
    while clock.now() < FAILOVER_LIMIT_S + GRACE_LIMIT_S:
        try:
            await rest.post(f"/nodes/{node_id}/fence")
        except Refused as refused:
            seen.fence.append((clock.now(), str(refused)[:160]))
            await asyncio.sleep(0.5)
        else:
            return


@dataclass
class Setting:
    """What is under test."""

    cluster: Cluster
    nodes: list[NodeProcess]
    lost: NodeProcess
    desks: list[Desk]
    wanted: Desk


@asynccontextmanager
async def setting(icewm_root: Path, folder: Path, tools: Path) -> AsyncIterator[Setting]:
    """The farm with running desktops, one that does not run, and a third node, which is killed."""
    async with AsyncExitStack() as undo:
        network = undo.enter_context(FarmNetwork().up())
        cluster = await undo.enter_async_context(running_cluster(network, folder, tools))
        farm = Farm(network, undo)
        for number in range(3):
            database = {"dsn": cluster.dsn} if number == 0 else {}
            await farm.add(node={"stop_guests": True}, database=database)
        here, there, lost = farm.nodes
        async with here.rest() as rest:
            await lend_image(here, rest, "icewm", icewm_root)
            flavour = await make_flavour(rest, "office", "icewm")
            desks = [await make_desk(here, rest, f"u{n}", flavour) for n in range(USERS + 1)]
            copy_images(here, there)
            ids = {item["name"]: item["id"] for item in (await rest.get("/nodes"))["items"]}
            for number, desk in enumerate(desks):
                home = ids[f"test-{farm.nodes[number % 2].prefix}"]
                await rest.call("PUT", f"/users/{desk.user_id}/home", {"node_id": home})
            for desk in desks[:-1]:
                await started(rest, desk)
        yield Setting(cluster, [here, there], lost, desks[:-1], desks[-1])


async def started(rest: Rest, desk: Desk) -> None:
    """Start a desktop; the load of its node may not be known yet."""

    async def tried() -> bool:
        try:
            await rest.post(f"/vms/{desk.vm_id}/start?wait=true")
        except Refused:
            return False
        return True

    await until(tried, limit_s=60, what=f"VM {desk.vm_id} to start")


async def one_round(given: Setting, folder: Path) -> Seen:
    """Kill the host of the primary while users log in."""
    seen = Seen()
    await given.lost.sigkill()
    async with AsyncExitStack() as scope:
        rest = await scope.enter_async_context(given.nodes[0].rest())
        display = await scope.enter_async_context(xvfb())
        viewers = []
        for desk, node in zip(given.desks, given.nodes * USERS, strict=False):
            connection = await scope.enter_async_context(desk.dial(at=node))
            assert (await connection.connect(desk.vm_id)).status == 101
            viewer = Viewer(connection, display, folder / desk.login)
            viewers.append(await scope.enter_async_context(viewer))
        for desk in given.desks:  # each node has seen each of these users lately
            for node in given.nodes:
                async with desk.dial(at=node) as connection:
                    assert (await connection.ask("/qvd/list_of_vm")).status == 200
        await asyncio.sleep(SETTLED_S)  # the lost node could be given up now, but for a failover
        await failover(given, rest, seen)
        seen.sessions = len(viewers)
        seen.sessions_lost = sum(viewer.over.is_set() for viewer in viewers)
        seen.generation = (await rest.get(f"/vms/{given.wanted.vm_id}"))["generation"]
    for node in given.nodes:
        events = node.events("database_failed_over") + node.events("database_back")
        seen.failed_over += [f"{node.prefix} {event['event']}" for event in events]
    return seen


async def failover(given: Setting, rest: Rest, seen: Seen) -> None:
    """The host dies, the farm is back, and the lost node is given up in the end."""
    names = {item["name"]: item["id"] for item in (await rest.get("/nodes"))["items"]}
    leader = await given.cluster.found()
    await until(given.cluster.in_sync, limit_s=60, what="a synchronous standby")
    clock = Clock()
    leader.die()
    work = [
        *(log_in(desk, node, clock, seen) for desk in given.desks for node in given.nodes),
        *(want(given.wanted, node, clock, seen) for node in given.nodes),
        watch(given.nodes, [*given.desks, given.wanted], clock, seen),
    ]
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await until(lambda: writes(rest), limit_s=FAILOVER_LIMIT_S, what="a write")
        seen.write_away_s = clock.now()
        await fence(rest, names[f"test-{given.lost.prefix}"], clock, seen)
        seen.grace_s = round(clock.now() - seen.write_away_s, 2)
        await asyncio.sleep(AFTER_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def rounds(count: int, folder: Path) -> list[Seen]:
    """Each with a cluster and a farm of its own."""
    tools = test_root().parent / "patroni"
    tools.mkdir(parents=True, exist_ok=True)
    found = []
    for number in range(count):
        async with setting(build_if_missing(), folder / str(number), tools) as given:
            found.append(await one_round(given, folder / str(number)))
    return found


def figures(seen: list[Seen]) -> dict[str, Figure]:
    """The figures of all rounds."""
    away = [[each for each in one.logins if 0 <= each.at_s <= one.write_away_s] for one in seen]
    return {
        "write_away_s": median([one.write_away_s for one in seen]),
        "logins_failed_pct": median(
            [
                100 * sum(each.status != 200 for each in logins) / max(1, len(logins))
                for logins in away
            ]
        ),
        "login_longest_s": median([max(each.took_s for each in one.logins) for one in seen]),
        "double_starts": total([float(len(one.twice)) for one in seen]),
        "starts_of_wanted": median([float(one.generation) for one in seen]),
        "grace_s": median([one.grace_s for one in seen]),
        "sessions_lost": total([float(one.sessions_lost) for one in seen]),
    }


def main() -> None:
    """Measure and write bench/results/patroni.json."""
    wanted = options.Options.of(options.parser(__doc__, rounds=1).parse_args())
    load = os.getloadavg()
    folder = Path(tempfile.mkdtemp(prefix="qvdnode-patroni-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        seen = asyncio.run(rounds(wanted.rounds, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    raw = {"load_before": load, "load_after": os.getloadavg(), "rounds": [asdict(s) for s in seen]}
    results_file.report("patroni", figures(seen), raw, wanted)


if __name__ == "__main__":
    main()
