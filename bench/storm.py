"""Monday, nine o'clock: 100 users ask for 100 stopped desktops in the same moment.

All users are tasks of this one process. A failure is any answer but 101, or no window in the end;
a double start is a VM whose generation grew by more than one. Each round has a node of its own, so
that nothing is warm, and so have the bare starts of as many desktops, as many at once, that are
its floor (floor.py). The host's memory is promised four times over, since none of these desktops
uses what its flavour allows.
"""

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench import options, results_file
from bench.desk_node import Stage, new_screen, shown, stage
from bench.floor import BareDesktop, floor
from bench.options import Options
from bench.results_file import against_floor, median, total
from bench.running import run
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.vm.settings import VmSettings
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, vm_view

ROUNDS: Final = 1
"""One takes two minutes, with its floor."""
USERS: Final = 100
LIMIT_S: Final = 120.0
LOOK_S: Final = 0.1


async def user(desk: Desk, on: Stage, keep: AsyncExitStack, errors: list[str]) -> None:
    """One user's morning."""
    try:
        await keep.enter_async_context(shown(desk, on))
    except (AssertionError, OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        errors.append(f"{desk.login}: {error!r}")


async def windows(watcher: WindowWatcher, began: float, shown_s: list[float]) -> None:
    """Note when each window is seen, looking ten times a second."""
    while len(shown_s) < USERS:
        shown_now = await watcher.count()
        shown_s += [time.monotonic() - began] * (shown_now - len(shown_s))
        await asyncio.sleep(LOOK_S)


@dataclass(frozen=True, slots=True)
class Storm:
    """How one went."""

    shown_s: list[float]
    """When each window was seen."""
    took_s: float
    """Until the last of them, or until patience ended."""
    errors: list[str]
    double_starts: int

    @property
    def failures(self) -> int:
        """Users who did not get what they came for."""
        return max(USERS - len(self.shown_s), len(self.errors))


async def storm() -> Storm:
    """One storm on a new node."""
    async with (
        stage(USERS, memory={"overcommit": 4.0}) as on,
        on.node.rest() as rest,
        AsyncExitStack() as keep,
    ):
        errors: list[str] = []
        shown_s: list[float] = []
        began = time.monotonic()
        watch = asyncio.create_task(windows(on.watcher, began, shown_s))
        await asyncio.gather(*(user(desk, on, keep, errors) for desk in on.desks))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watch, LIMIT_S)
        took_s = shown_s[-1] if len(shown_s) == USERS else time.monotonic() - began
        views = [await vm_view(rest, desk.vm_id) for desk in on.desks]
    return Storm(shown_s, took_s, errors, sum(view["generation"] > 1 for view in views))


async def bare_start(desktop: BareDesktop, slots: asyncio.Semaphore) -> None:
    """Start and show one desktop; it holds a slot until its display listens, as in a node."""
    async with slots:
        await desktop.start()
    await desktop.show()


async def bare_storm(image: Path) -> list[float]:
    """As many desktops without a node: when each window was seen."""
    shown_s: list[float] = []
    async with (
        new_screen() as (display, watcher),
        floor(image, display, USERS) as desktops,
    ):
        slots = asyncio.Semaphore(VmSettings().starts_at_once)
        began = time.monotonic()
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            group.create_task(windows(watcher, began, shown_s))
            for desktop in desktops:
                group.create_task(bare_start(desktop, slots))
    return shown_s


async def measure(wanted: Options) -> None:
    """Storms with and without a node, in turns."""
    image = await asyncio.to_thread(build_if_missing)
    storms: list[Storm] = []
    bare: list[list[float]] = []
    for _ in range(wanted.rounds):
        storms.append(await storm())
        bare.append(await bare_storm(image))
    results_file.report(
        "storm",
        {
            **against_floor(
                "all_shown_s",
                median([one.took_s for one in storms]),
                median([one[-1] for one in bare]),
            ),
            "failures": total([one.failures for one in storms]),
            "double_starts": total([one.double_starts for one in storms]),
        },
        {"storms": [asdict(one) for one in storms], "bare_shown_s": bare},
        wanted,
    )


def main() -> None:
    """Measure and write bench/results/storm.json."""
    run(measure(options.parsed(__doc__, rounds=ROUNDS)))


if __name__ == "__main__":
    main()
