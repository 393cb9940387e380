"""Monday, nine o'clock: 100 users ask for 100 stopped desktops in the same moment.

All users are tasks of this one process. A failure is any answer but 101, or no window in the end;
a double start is a VM whose generation grew by more than one.
"""

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack
from typing import Final

from bench import results_file
from bench.desk_node import Stage, shown, stage
from tests.harness.farm import Desk, vm_view

USERS: Final = 100
LIMIT_S: Final = 120.0
LOOK_S: Final = 0.1


async def user(desk: Desk, on: Stage, keep: AsyncExitStack, errors: list[str]) -> None:
    """One user's morning."""
    try:
        await keep.enter_async_context(shown(desk, on))
    except (AssertionError, OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        errors.append(f"{desk.login}: {error!r}")


async def windows(on: Stage, began: float, shown_s: list[float]) -> None:
    """Note when each window is seen, looking ten times a second."""
    while len(shown_s) < len(on.desks):
        shown_now = await on.watcher.count()
        shown_s += [time.monotonic() - began] * (shown_now - len(shown_s))
        await asyncio.sleep(LOOK_S)


async def measure() -> None:
    """One storm."""
    settings = {"memory": {"overcommit": 4.0}}
    async with stage(USERS, **settings) as on, on.node.rest() as rest, AsyncExitStack() as keep:
        errors: list[str] = []
        shown_s: list[float] = []
        began = time.monotonic()
        watch = asyncio.create_task(windows(on, began, shown_s))
        await asyncio.gather(*(user(desk, on, keep, errors) for desk in on.desks))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watch, LIMIT_S)
        doubles = 0
        for desk in on.desks:
            view = await vm_view(rest, desk.vm_id)
            doubles += int(view["generation"] > 1)
        results_file.write(
            "storm",
            {
                "all_shown_s": shown_s[-1] if len(shown_s) == USERS else float("inf"),
                "failures": USERS - len(shown_s),
                "double_starts": doubles,
            },
            {"shown_s": shown_s, "errors": errors},
        )


def main() -> None:
    """Run the bench."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
