"""Real nodes, guests and PostgreSQL under faults: no desktop may run twice. A part of `make soak`.

    python -m tests.farm_faults [--nodes 5] [--seconds 240] [--seed S] [--only FAULT] [--write]

Users start their desktops again and again at nodes drawn by chance, while one fault follows the
other: lost packets, a node cut off, one cut off from the database alone, SIGSTOP, SIGKILL, a
restart of the database, the promotion of its standby. A thread looks every 50 ms who runs what. In
the end all desktops must start.
A seed repeats the faults and their times, not what the machine makes of them.
"""

import argparse
import asyncio
import contextlib
import os
import random
import secrets
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from bench import results_file
from bench.options import Options
from qvdnode.host import cgroups
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk
from tests.harness.fault_farm import (
    FaultFarm,
    cut_off,
    dropping,
    fault_farm,
    lasts,
    lossy,
    without_database,
)
from tests.harness.guest_census import Census
from tests.harness.node import NodeProcess
from tests.harness.rest import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECONDS: Final = 240.0
SETTLE_S: Final = 90.0
"""For all desktops to run after the last fault: a lease, grace, starts, on a loaded machine."""
BETWEEN_S: Final = (1.0, 6.0)
LASTS_S: Final = (2.0, 25.0)
"""Longer and shorter than a lease, and than what the failure detector waits for."""
AWAY_S: Final = (0.0, 10.0)
REST_S: Final = (0.2, 2.0)
CALL_LIMIT_S: Final = 40.0
REFUSALS: Final = (Refused, aiohttp.ClientError, OSError, TimeoutError)


@dataclass(slots=True)
class Run:
    """One run: its farm, its dice, and what came of it."""

    farm: FaultFarm
    dice: random.Random
    only: str = ""
    """The one fault that there is; empty for all."""
    faults: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    history: list[dict[str, Any]] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    async def users(self) -> None:
        """Start and now and then stop every desktop, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for desk in self.farm.desks:
                group.create_task(self._user(desk, random.Random(self.dice.random())))

    async def _user(self, desk: Desk, dice: random.Random) -> None:
        while True:
            verb = "stop" if dice.random() < 0.2 else "start"
            try:
                await self.ask(dice.choice(self.farm.nodes), desk, verb)
            except REFUSALS:
                self.calls[f"{verb} refused"] += 1
            else:
                self.calls[verb] += 1
            await asyncio.sleep(dice.uniform(*REST_S))

    async def ask(self, node: NodeProcess, desk: Desk, verb: str) -> None:
        """Ask a node, which may be out of reach; raises one of REFUSALS."""
        async with asyncio.timeout(CALL_LIMIT_S), node.rest() as rest:
            await rest.post(f"/vms/{desk.vm_id}/{verb}?wait=true")

    async def fault(self) -> None:
        """One fault of a node or of the database, from its begin to its end."""
        kinds: dict[str, Callable[[NodeProcess, float], Awaitable[None]]] = {
            "lost packets": self._loss,
            "cut off": lambda node, lasts_s: self._drop(node, lasts_s, cut_off()),
            "no database": lambda node, lasts_s: self._drop(
                node, lasts_s, without_database(self.farm.database_host)
            ),
            "SIGSTOP": self._stopped,
            "SIGKILL": self._killed,
            "database restart": lambda _, lasts_s: self.farm.database.restart(
                min(lasts_s, AWAY_S[1])
            ),
            "promotion": lambda _, lasts_s: self.farm.database.promote(min(lasts_s, AWAY_S[1])),
        }
        name = self.only or self.dice.choice(sorted(kinds))
        node, lasts_s = self.dice.choice(self.farm.nodes), self.dice.uniform(*LASTS_S)
        pause_s = self.dice.uniform(*BETWEEN_S)
        at_s = time.monotonic() - self.began_s
        where = "" if name in {"database restart", "promotion"} else f" of {node.host}"
        print(f"{at_s:7.1f} s  {name}{where} for {lasts_s:.1f} s", flush=True)
        self.faults[name] += 1
        self.history.append({"at_s": at_s, "fault": name, "node": node.host, "lasts_s": lasts_s})
        await kinds[name](node, lasts_s)
        await lasts(pause_s)

    async def _loss(self, node: NodeProcess, lasts_s: float) -> None:
        await self._drop(node, lasts_s, lossy(self.dice.choice((10, 30, 60))))

    async def _drop(self, node: NodeProcess, lasts_s: float, rule: str) -> None:
        with dropping(node, rule):
            await lasts(lasts_s)

    async def _stopped(self, node: NodeProcess, lasts_s: float) -> None:
        assert node.process is not None
        node.process.send_signal(signal.SIGSTOP)
        try:
            await lasts(lasts_s)
        finally:
            node.process.send_signal(signal.SIGCONT)

    async def _killed(self, node: NodeProcess, lasts_s: float) -> None:
        await node.sigkill()
        try:
            await lasts(lasts_s)
        finally:
            await node.start()

    async def settle(self) -> list[int]:
        """Have all desktops run once more, without faults; those that do not."""
        left = {desk.vm_id: desk for desk in self.farm.desks}
        deadline_s = time.monotonic() + SETTLE_S
        while left and time.monotonic() < deadline_s:
            for vm_id, desk in list(left.items()):
                with contextlib.suppress(*REFUSALS):
                    await self.ask(self.dice.choice(self.farm.nodes), desk, "start")
                    del left[vm_id]
            await asyncio.sleep(0.5)
        return sorted(left)


async def play(
    farm: FaultFarm, seed: int, seconds: float, only: str = ""
) -> tuple[Run, Census, list[int]]:
    """Faults for so long, then the time to settle; the desktops that do not start any more."""
    run, over = Run(farm, random.Random(seed), only), threading.Event()
    census = Census(cgroups.probe(), farm.guests())
    watcher = threading.Thread(target=census.run, args=(over,))
    watcher.start()
    try:
        users = asyncio.ensure_future(run.users())
        try:
            while time.monotonic() - run.began_s < seconds:
                await run.fault()
        finally:
            users.cancel()
            await asyncio.gather(users, return_exceptions=True)
        stuck = await run.settle()
    finally:
        over.set()
        watcher.join()
    return run, census, stuck


async def main() -> int:
    """Run it, print the summary, and write the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5, choices=range(2, 10), metavar="N")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--only", default="", help="one fault alone, such as promotion")
    parser.add_argument("--write", action="store_true", help="the figures to bench/results")
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.nodes} nodes", flush=True)
    root = await asyncio.to_thread(build_if_missing)
    load = os.getloadavg()
    async with fault_farm(given.nodes, given.nodes, root) as farm:
        run, census, stuck = await play(farm, given.seed, given.seconds, given.only)
        failed = bool(census.doubles or stuck)
        for node in farm.nodes if failed else ():
            print(f"--- the end of {node.host}:\n{node.last_events()}")
    print(f"faults     {dict(run.faults)}")
    print(f"calls      {dict(run.calls)}; {census.moves} moves of a desktop to another node")
    print(f"looks      {census.looks}, at most {census.longest_pause_s:.3f} s apart")
    print(f"doubles    {len(census.doubles)} {census.doubles}")
    print(f"stuck      {stuck}")
    if given.write:
        _write(given, run, census, stuck, load)
    if failed:
        print(
            f"failed; the same faults again: python -m tests.farm_faults --nodes {given.nodes}"
            f" --seconds {given.seconds:g} --seed {given.seed}"
        )
    return int(failed)


def _write(
    given: argparse.Namespace, run: Run, census: Census, stuck: list[int], load: tuple[float, ...]
) -> None:
    figures = {
        "double_starts": results_file.total([len(census.doubles)]),
        "stuck_desktops": results_file.total([len(stuck)]),
        "moves": results_file.total([census.moves]),
        "longest_look_pause_s": results_file.median([census.longest_pause_s]),
    }
    raw = {
        "seed": given.seed,
        "nodes": given.nodes,
        "seconds": given.seconds,
        "load": load,
        "looks": census.looks,
        "faults": run.history,
        "calls": run.calls,
        "doubles": [asdict(double) for double in census.doubles],
    }
    results_file.report("farm_faults", figures, raw, Options(rounds=1, writes=True))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
