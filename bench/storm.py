"""Monday, nine o'clock: 100 users ask for 100 stopped desktops in the same moment.

All users are tasks of this one process. A failure is any answer but 101, or no window in the end;
a double start is a VM whose generation grew by more than one.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

from bench import results_file
from bench.desk_node import Stage, shown, stage
from tests.harness.farm import Desk, vm_view

USERS: Final = 100
LIMIT_S: Final = 600.0


async def user(desk: Desk, on: Stage, keep: AsyncExitStack, errors: list[str]) -> None:
    """One user's morning."""
    try:
        await keep.enter_async_context(shown(desk, on))
    except (AssertionError, OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        errors.append(f"{desk.login}: {error!r}")


async def windows(on: Stage, began: float, shown_s: list[float]) -> None:
    """Note when each window appears."""
    while len(shown_s) < len(on.desks):
        await on.watcher.wait_new(LIMIT_S)
        shown_s.append(time.monotonic() - began)


async def measure() -> None:
    """One storm."""
    settings = {"memory": {"overcommit": 4.0}}
    async with stage(USERS, **settings) as on, on.node.rest() as rest, AsyncExitStack() as keep:
        errors: list[str] = []
        shown_s: list[float] = []
        began = time.monotonic()
        watch = asyncio.create_task(windows(on, began, shown_s))
        await asyncio.gather(*(user(desk, on, keep, errors) for desk in on.desks))
        if not errors:
            await watch
        watch.cancel()
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
