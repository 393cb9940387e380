"""The node is killed under 20 desktops with clients, and started again.

`kept` counts the desktops on which every process that shows something is the same as before: the
display itself, the window manager, a terminal that the user opened and what runs in it. The time
runs from the start of the new node process to the last client's window. All clients dial from then
on, again and again with a short pause, so that the node is measured and not a client's patience.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from bench import results_file
from bench.desk_node import Stage, shown, stage
from bench.results_file import least, median
from bench.serving import free_port
from tests.e2e.guest_processes import in_guest, pids_by_name
from tests.harness.farm import Desk
from tests.waiting import until

DESKTOPS: Final = 20
ROUNDS: Final = 5
LIMIT_S: Final = 120.0
DIAL_AGAIN_S: Final = 0.1
PROGRAMS: Final = frozenset({"nxagent", "icewm", "xterm", "tail"})


async def back(desk: Desk, on: Stage, keep: AsyncExitStack) -> None:
    """Dial until the node answers again."""
    while True:
        try:
            await keep.enter_async_context(shown(desk, on))
        except (OSError, AssertionError, asyncio.IncompleteReadError):
            await asyncio.sleep(DIAL_AGAIN_S)
        else:
            return


def session(desk: Desk) -> dict[str, tuple[int, int]]:
    """What shows something on a desktop: name to pid and start, which name a process for good."""
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
    """Wait until every desktop has been shown once more; by events, since looking takes a core."""
    for _ in on.desks:
        await on.watcher.wait_new(LIMIT_S)


async def one_round(on: Stage) -> tuple[int, float]:
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


async def measure() -> None:
    """Several rounds on one farm."""
    async with stage(DESKTOPS, clients={"port": free_port()}) as on:
        rounds = [await one_round(on) for _ in range(ROUNDS)]
    results_file.write(
        "adoption",
        {
            "kept": least([kept for kept, _ in rounds]),
            "back_max_s": median([took for _, took in rounds]),
        },
        {"rounds": [{"kept": kept, "back_s": took} for kept, took in rounds]},
    )


def main() -> None:
    """Run the bench."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
