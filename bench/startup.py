"""How long a user waits: from the client's request to the desktop's window.

Cold: the VM is stopped; one after another. Reconnect: the desktop runs, its client was dropped.
The time starts when the request is sent on a connection that is dialled for it (TLS and login are
inside), and ends when the X server reports the window as mapped.
"""

import asyncio
import time
from typing import Final

from bench import results_file
from bench.desk_node import Stage, percentile, shown, stage
from tests.harness.farm import Desk, until_vm
from tests.harness.rest import Rest

COLD_SAMPLES: Final = 100
RECONNECT_SAMPLES: Final = 200
DESKS: Final = 5
WINDOW_LIMIT_S: Final = 30.0


async def one_window(desk: Desk, on: Stage) -> float:
    """Seconds from dialling to the mapped window; the desktop is left suspended."""
    began = time.monotonic()
    async with shown(desk, on):
        await on.watcher.wait_new(WINDOW_LIMIT_S)
        return time.monotonic() - began


async def suspended(rest: Rest, desk: Desk) -> None:
    """Wait until the dropped client is noticed."""
    await until_vm(rest, desk.vm_id, display="suspended")


async def cold(on: Stage, rest: Rest, samples: int) -> list[float]:
    """Starts of stopped VMs, one after another."""
    took = []
    for number in range(samples):
        desk = on.desks[number % len(on.desks)]
        took.append(await one_window(desk, on))
        await suspended(rest, desk)
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        await until_vm(rest, desk.vm_id, state="stopped")
    return took


async def reconnect(on: Stage, rest: Rest, samples: int) -> list[float]:
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


async def measure() -> None:
    """Both series on one node."""
    async with stage(DESKS) as on, on.node.rest() as rest:
        await cold(on, rest, DESKS)  # fills caches, as the first users of a day do
        colds = await cold(on, rest, COLD_SAMPLES)
        reconnects = await reconnect(on, rest, RECONNECT_SAMPLES)
        steps = on.node.events("desktop_ready")
    results_file.write(
        "startup",
        {
            "cold_p50_s": percentile(colds, 0.5),
            "cold_p95_s": percentile(colds, 0.95),
            "reconnect_p50_s": percentile(reconnects, 0.5),
            "reconnect_p95_s": percentile(reconnects, 0.95),
        },
        {"cold_s": colds, "reconnect_s": reconnects, "steps": steps},
    )


def main() -> None:
    """Run the bench."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
