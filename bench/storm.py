"""Monday, nine o'clock: 100 users ask for 100 stopped desktops in the same moment.

All users are tasks of this one process. A failure is any answer but 101, or no window in the end;
a double start is a VM whose generation grew by more than one. Each round has a node of its own, so
that nothing is warm. The host's memory is promised four times over, since none of these desktops
uses what its flavour allows.
"""

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Final

from bench import results_file
from bench.desk_node import Stage, shown, stage
from bench.results_file import median, total
from tests.harness.farm import Desk, vm_view

ROUNDS: Final = 5
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
    settings = {"memory": {"overcommit": 4.0}}
    async with stage(USERS, **settings) as on, on.node.rest() as rest, AsyncExitStack() as keep:
        errors: list[str] = []
        shown_s: list[float] = []
        began = time.monotonic()
        watch = asyncio.create_task(windows(on, began, shown_s))
        await asyncio.gather(*(user(desk, on, keep, errors) for desk in on.desks))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watch, LIMIT_S)
        took_s = shown_s[-1] if len(shown_s) == USERS else time.monotonic() - began
        views = [await vm_view(rest, desk.vm_id) for desk in on.desks]
    return Storm(shown_s, took_s, errors, sum(view["generation"] > 1 for view in views))


async def measure() -> None:
    """Several storms, one after another."""
    storms = [await storm() for _ in range(ROUNDS)]
    results_file.write(
        "storm",
        {
            "all_shown_s": median([one.took_s for one in storms]),
            "failures": total([one.failures for one in storms]),
            "double_starts": total([one.double_starts for one in storms]),
        },
        {"storms": [asdict(one) for one in storms]},
    )


def main() -> None:
    """Run the bench."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
