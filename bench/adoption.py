"""The node is killed under 20 desktops with clients, and started again.

`kept` counts the desktops whose guest (the same process) and whose window contents survived; the
time runs from the start of the new node process to the last client's window. Clients dial in a
loop with a short pause, as our own client does.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

from bench import results_file
from bench.desk_node import Stage, shown, stage
from tests.harness.farm import Desk, vm_view
from tests.waiting import until

DESKTOPS: Final = 20
ROUNDS: Final = 5
LIMIT_S: Final = 120.0
DIAL_AGAIN_S: Final = 0.1


async def back(desk: Desk, on: Stage, keep: AsyncExitStack) -> None:
    """Dial until the node answers again."""
    while True:
        try:
            await keep.enter_async_context(shown(desk, on))
        except (OSError, AssertionError, asyncio.IncompleteReadError):
            await asyncio.sleep(DIAL_AGAIN_S)
        else:
            return


async def processes(on: Stage) -> dict[int, object]:
    """VM to what names its guest for good."""
    async with on.node.rest() as rest:
        views = [await vm_view(rest, desk.vm_id) for desk in on.desks]
    return {view["id"]: (view["generation"], view["state"]) for view in views}


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
        before = await processes(on)
        await on.node.sigkill()
    await until(lambda: no_window(on), limit_s=LIMIT_S, what="the old windows to go")
    async with AsyncExitStack() as keep:
        began = time.monotonic()
        await on.node.start(wait=False)
        await on.node.serving()
        dials = [asyncio.create_task(back(desk, on, keep)) for desk in on.desks]
        await all_windows(on)
        took = time.monotonic() - began
        await asyncio.gather(*dials)
        after = await processes(on)
    kept = sum(before[vm] == after[vm] for vm in before)
    return kept, took


async def measure() -> None:
    """Several rounds on one farm."""
    async with stage(DESKTOPS) as on:
        rounds = [await one_round(on) for _ in range(ROUNDS)]
    results_file.write(
        "adoption",
        {
            "kept": min(kept for kept, _ in rounds),
            "back_max_s": sorted(took for _, took in rounds)[len(rounds) // 2],
            "back_worst_s": max(took for _, took in rounds),
        },
        {"rounds": [{"kept": kept, "back_s": took} for kept, took in rounds]},
    )


def main() -> None:
    """Run the bench."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
