"""Kills a node with 20 desktops and clients, starts it again, and measures until all are shown.

`kept` counts the desktops on which every visible process is the same as before: the display, the
window manager, a terminal that the user opened and the program in it. The time runs from the start
of the new node process to the last client's window. All clients then connect again and again with a
short pause, so that the result does not depend on a client's back-off.

The floor is the start of a killed node that has nothing to adopt, until it serves, and then twenty
bare resumes by a script without a node (floor.py), as many at once as a node does.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench import options, results_file
from bench.desk_node import Stage, shown, stage
from bench.floor import BareDesktop, floor
from bench.options import Options
from bench.results_file import against_floor, least, median
from bench.running import run
from bench.serving import free_port
from qvdnode.vm.settings import VmSettings
from tests.e2e.guest_processes import in_guest, pids_by_name
from tests.harness.farm import Desk
from tests.harness.node import NodeProcess, running_node, test_root
from tests.waiting import until

DESKTOPS: Final = 20
ROUNDS: Final = 5
LIMIT_S: Final = 120.0
DIAL_AGAIN_S: Final = 0.1
PROGRAMS: Final = frozenset({"nxagent", "icewm", "xterm", "tail"})


async def back(desk: Desk, on: Stage, keep: AsyncExitStack) -> None:
    """Connect again and again until the node answers."""
    while True:
        try:
            await keep.enter_async_context(shown(desk, on))
        except (OSError, AssertionError, asyncio.IncompleteReadError):
            await asyncio.sleep(DIAL_AGAIN_S)
        else:
            return


def session(desk: Desk) -> dict[str, tuple[int, int]]:
    """Return the visible processes of a desktop: name to pid and start time, which identify it."""
    return {name: (pid, started_ticks(pid)) for name, pid in pids_by_name(desk, PROGRAMS).items()}


def started_ticks(pid: int) -> int:
    """When a process was started, in clock ticks since boot."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def open_terminal(desk: Desk) -> None:
    """What the user works with."""
    in_guest(desk, "DISPLAY=:100 setsid xterm -e tail -f /dev/null >/dev/null 2>&1 &")


async def sessions(on: Stage) -> dict[int, dict[str, tuple[int, int]]]:
    """VM to its session."""
    return {desk.vm_id: await asyncio.to_thread(session, desk) for desk in on.desks}


async def all_open(on: Stage) -> bool:
    """Whether every desktop has all of its programs."""
    return all(found.keys() == PROGRAMS for found in (await sessions(on)).values())


async def no_window(on: Stage) -> bool:
    """Whether the screen is empty."""
    return await on.watcher.count() == 0


async def all_windows(on: Stage) -> None:
    """Wait until every desktop is shown again; by events, since polling would use a whole core."""
    for _ in on.desks:
        await on.watcher.wait_new(LIMIT_S)


@dataclass(frozen=True, slots=True)
class Round:
    """One restart of the node, and its floor."""

    kept: int
    """Desktops."""
    back_s: float
    """Until the last client's window."""
    empty_start_s: float
    """From the start of a node that has nothing to adopt until it serves."""
    bare_resumes_s: float

    @property
    def floor_s(self) -> float:
        """The time of the floor's two parts, which cannot overlap."""
        return self.empty_start_s + self.bare_resumes_s


async def killed_and_back(on: Stage) -> tuple[int, float]:
    """Kill, start, reconnect; desktops kept and seconds to the last window."""
    async with AsyncExitStack() as keep:
        for desk in on.desks:
            await keep.enter_async_context(shown(desk, on))
        await all_windows(on)
        for desk in on.desks:
            if session(desk).keys() != PROGRAMS:
                await asyncio.to_thread(open_terminal, desk)
        await until(lambda: all_open(on), limit_s=LIMIT_S, what="a terminal on every desktop")
        before = await sessions(on)
        await on.node.sigkill()
    await until(lambda: no_window(on), limit_s=LIMIT_S, what="the old windows to go")
    async with AsyncExitStack() as keep:
        began = time.monotonic()
        await on.node.start(wait=False)
        dials = [asyncio.create_task(back(desk, on, keep)) for desk in on.desks]
        await all_windows(on)
        took = time.monotonic() - began
        await asyncio.gather(*dials)
        after = await sessions(on)
    kept = sum(before[vm] == after[vm] for vm in before)
    return kept, took


async def empty_start(node: NodeProcess) -> float:
    """Seconds that a killed node without desktops takes to serve again."""
    await node.sigkill()
    began = time.monotonic()
    await node.start()
    return time.monotonic() - began


async def bare_resumes(on: Stage, desktops: Sequence[BareDesktop]) -> float:
    """Seconds until all suspended bare desktops are shown again; suspended again afterwards."""
    await until(lambda: no_window(on), limit_s=LIMIT_S, what="an empty screen")
    slots = asyncio.Semaphore(VmSettings().redraws_at_once)
    began = time.monotonic()
    await asyncio.gather(*(bare_resume(desktop, slots) for desktop in desktops))
    await all_windows(on)
    took = time.monotonic() - began
    await asyncio.gather(*(desktop.suspend() for desktop in desktops))
    return took


async def bare_resume(desktop: BareDesktop, slots: asyncio.Semaphore) -> None:
    """Resume and show one desktop; it holds a slot until its display is connected."""
    async with slots:
        await desktop.resume()
        await desktop.show()
        await desktop.connected()


async def measure(wanted: Options) -> None:
    """Several rounds on one farm, each with its floor."""
    rounds: list[Round] = []
    async with (
        running_node(test_root()) as empty_node,
        stage(DESKTOPS, clients={"port": free_port()}) as on,
        floor(on.image, on.display, DESKTOPS) as bare,
    ):
        for desktop in bare:
            await desktop.start()
            await desktop.show()
            await on.watcher.wait_new(LIMIT_S)
            await desktop.suspend()
        for _ in range(wanted.rounds):
            floor_s = await empty_start(empty_node), await bare_resumes(on, bare)
            rounds.append(Round(*await killed_and_back(on), *floor_s))
    results_file.report(
        "adoption",
        {
            "kept": least([one.kept for one in rounds]),
            **against_floor(
                "back_max_s",
                median([one.back_s for one in rounds]),
                median([one.floor_s for one in rounds]),
            ),
        },
        {"rounds": [asdict(one) for one in rounds]},
        wanted,
    )


def main() -> None:
    """Measure and write bench/results/adoption.json."""
    run(measure(options.parsed(__doc__, rounds=ROUNDS)))


if __name__ == "__main__":
    main()
