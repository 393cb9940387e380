"""How long a user waits: from the client's request to the desktop's window.

Cold: the VM is stopped; one after another. Reconnect: the desktop runs, its client was dropped.
Both are done in each round. The time starts when `connect_to_vm` is sent, on a connection that was
just dialled (what that took is in the raw data), and ends when the X server reports the window as
mapped. As with every client, the password was checked before, by an earlier request. A window of
an earlier sample cannot be taken for a new one: the screen is empty before.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from bench import results_file
from bench.desk_node import Stage, percentile, shown_on, stage
from bench.results_file import Figure
from tests.harness.farm import Desk, until_vm
from tests.harness.rest import Rest
from tests.waiting import until

ROUNDS: Final = 5
COLD_SAMPLES: Final = 20
"""In each round, as the next."""
RECONNECT_SAMPLES: Final = 40
DESKS: Final = 5
WINDOW_LIMIT_S: Final = 30.0

Samples = list[tuple[float, float]]
"""Seconds of dialling, and from the request to the window."""


async def one_window(desk: Desk, on: Stage) -> tuple[float, float]:
    """Seconds of dialling, and from the request to the mapped window; then suspended again."""
    await until(lambda: empty(on), what="the screen to be empty")
    dialling = time.monotonic()
    async with desk.dial() as connection:
        began = time.monotonic()
        async with shown_on(connection, desk, on):
            window = await on.watcher.wait_new(WINDOW_LIMIT_S)
            took = time.monotonic() - began
            if window not in await on.watcher.windows():
                raise AssertionError("the window that was reported is not shown")
            return began - dialling, took


async def empty(on: Stage) -> bool:
    """Whether no desktop is shown."""
    return await on.watcher.count() == 0


async def suspended(rest: Rest, desk: Desk) -> None:
    """Wait until the dropped client is noticed."""
    await until_vm(rest, desk.vm_id, display="suspended")


async def stopped(on: Stage, rest: Rest) -> None:
    """Stop all desktops."""
    for desk in on.desks:
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        await until_vm(rest, desk.vm_id, state="stopped")


async def cold(on: Stage, rest: Rest, samples: int) -> Samples:
    """Starts of stopped VMs, one after another."""
    took = []
    for number in range(samples):
        desk = on.desks[number % len(on.desks)]
        took.append(await one_window(desk, on))
        await suspended(rest, desk)
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        await until_vm(rest, desk.vm_id, state="stopped")
    return took


async def reconnect(on: Stage, rest: Rest, samples: int) -> Samples:
    """Reconnects to desktops that run."""
    for desk in on.desks:
        await one_window(desk, on)
        await suspended(rest, desk)
    took = []
    for number in range(samples):
        desk = on.desks[number % len(on.desks)]
        took.append(await one_window(desk, on))
        await suspended(rest, desk)
    return took


def over_all(rounds: Sequence[Samples], share: float) -> Figure:
    """The percentile of all samples, beside each round's."""
    values = [[took for _, took in one] for one in rounds]
    return Figure(
        percentile([took for one in values for took in one], share),
        [percentile(one, share) for one in values],
    )


async def measure() -> None:
    """Both series in turn, on one node."""
    colds: list[Samples] = []
    reconnects: list[Samples] = []
    async with stage(DESKS) as on, on.node.rest() as rest:
        await cold(on, rest, DESKS)  # fills caches, as the first users of a day do
        for _ in range(ROUNDS):
            colds.append(await cold(on, rest, COLD_SAMPLES))
            reconnects.append(await reconnect(on, rest, RECONNECT_SAMPLES))
            await stopped(on, rest)
        steps = on.node.events("desktop_ready")
    results_file.write(
        "startup",
        {
            "cold_p50_s": over_all(colds, 0.5),
            "cold_p95_s": over_all(colds, 0.95),
            "reconnect_p50_s": over_all(reconnects, 0.5),
            "reconnect_p95_s": over_all(reconnects, 0.95),
        },
        {"dial_and_cold_s": colds, "dial_and_reconnect_s": reconnects, "steps": steps},
    )


def main() -> None:
    """Run the bench."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
