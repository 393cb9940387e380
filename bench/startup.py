"""How long a user waits: from the client's request to the desktop's window.

Cold: the VM is stopped; one after another. Reconnect: the desktop runs, its client was dropped.
Both are done in each round. The time starts when `connect_to_vm` is sent, on a connection that was
just dialled (what that took is in the raw data), and ends when the X server reports the window as
mapped. As with every client, the password was checked before, by an earlier request. A window of
an earlier sample cannot be taken for a new one: the screen is empty before.

The floor of each is the same by a script without a node (floor.py). The two take turns, so that a
machine that becomes slower makes both slower.

The same is told of XFCE, without a floor: `xfce_cold` as above, and `xfce_drawn`, until its panel
has its look (xfce_startup.py).
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from bench import options, results_file, xfce_startup
from bench.desk_node import Stage, percentile, shown_on, stage
from bench.floor import BareDesktop, floor
from bench.options import Options
from bench.results_file import Figure, against_floor
from bench.running import run
from tests.harness.farm import Desk, until_vm
from tests.harness.rest import Rest
from tests.waiting import until

ROUNDS: Final = 5
COLD_SAMPLES: Final = 12
"""In each round, as the next."""
RECONNECT_SAMPLES: Final = 16
DESKS: Final = 4
WINDOW_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Samples:
    """What one round of one kind gave, in seconds."""

    dial: list[float] = field(default_factory=list)
    window: list[float] = field(default_factory=list)
    """From the request to the window."""
    bare: list[float] = field(default_factory=list)
    """The same without a node."""
    bare_steps: list[dict[str, float]] = field(default_factory=list)
    """Of each sample of `bare`; what they leave of it is nxproxy's time to the window."""


async def one_window(desk: Desk, on: Stage, found: Samples) -> None:
    """Show a desktop until its window is mapped, then drop the client."""
    await until(lambda: empty(on), what="the screen to be empty")
    dialling = time.monotonic()
    async with desk.dial() as connection:
        began = time.monotonic()
        async with shown_on(connection, desk, on):
            window = await on.watcher.wait_new(WINDOW_LIMIT_S)
            found.window.append(time.monotonic() - began)
            found.dial.append(began - dialling)
            if window not in await on.watcher.windows():
                raise AssertionError("the window that was reported is not shown")


async def one_bare_window(desktop: BareDesktop, on: Stage, found: Samples) -> None:
    """Start or resume a bare desktop until its window is mapped, then suspend it."""
    await until(lambda: empty(on), what="the screen to be empty")
    began = time.monotonic()
    await (desktop.resume() if desktop.is_running else desktop.start())
    await desktop.show()
    await on.watcher.wait_new(WINDOW_LIMIT_S)
    found.bare.append(time.monotonic() - began)
    found.bare_steps.append(dict(desktop.steps))
    await desktop.connected()  # nxagent ends if it loses its first client before that
    await desktop.suspend()


async def empty(on: Stage) -> bool:
    """Whether no desktop is shown."""
    return await on.watcher.count() == 0


async def stop(rest: Rest, desk: Desk) -> None:
    """Stop a desktop."""
    await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
    await until_vm(rest, desk.vm_id, state="stopped")


async def cold(on: Stage, rest: Rest, bare: Sequence[BareDesktop], samples: int) -> Samples:
    """Starts of stopped desktops, one after another."""
    found = Samples()
    for number in range(samples):
        desk, desktop = on.desks[number % DESKS], bare[number % DESKS]
        await one_window(desk, on, found)
        await stop(rest, desk)
        await one_bare_window(desktop, on, found)
        await desktop.stop()
    return found


async def reconnect(on: Stage, rest: Rest, bare: Sequence[BareDesktop], samples: int) -> Samples:
    """Reconnects to desktops that run; the first time that each is shown does not count."""
    started, found = Samples(), Samples()
    for number in range(-DESKS, samples):
        desk, desktop = on.desks[number % DESKS], bare[number % DESKS]
        series = started if number < 0 else found
        await one_window(desk, on, series)
        await until_vm(rest, desk.vm_id, display="suspended")
        await one_bare_window(desktop, on, series)
    for desk, desktop in zip(on.desks, bare, strict=True):
        await stop(rest, desk)
        await desktop.stop()
    return found


def over_all(rounds: Sequence[Sequence[float]], share: float) -> Figure:
    """The percentile of all samples, beside each round's."""
    return Figure(
        percentile([took for one in rounds for took in one], share),
        [percentile(one, share) for one in rounds],
    )


def figures(name: str, rounds: Sequence[Samples]) -> dict[str, Figure]:
    """Of one kind of start, against its floor."""
    window, bare = [one.window for one in rounds], [one.bare for one in rounds]
    p50 = against_floor(f"{name}_p50_s", over_all(window, 0.5), over_all(bare, 0.5))
    p95 = against_floor(f"{name}_p95_s", over_all(window, 0.95), over_all(bare, 0.95))
    return {**p50, **p95}


async def measure(wanted: Options) -> None:
    """Both series in turn, on one node."""
    colds: list[Samples] = []
    reconnects: list[Samples] = []
    async with (
        stage(DESKS) as on,
        on.node.rest() as rest,
        floor(on.image, on.display, DESKS) as bare,
    ):
        await cold(on, rest, bare, DESKS)  # fills caches, as the first users of a day do
        for _ in range(wanted.rounds):
            colds.append(await cold(on, rest, bare, COLD_SAMPLES))
            reconnects.append(await reconnect(on, rest, bare, RECONNECT_SAMPLES))
        steps = on.node.events("desktop_ready")
    xfce = await xfce_startup.rounds(wanted.rounds)
    raw = {
        "cold": [asdict(one) for one in colds],
        "reconnect": [asdict(one) for one in reconnects],
        "xfce": [asdict(one) for one in xfce],
        "steps": steps,
    }
    found = {**figures("cold", colds), **figures("reconnect", reconnects)}
    found |= xfce_startup.figures(xfce)
    results_file.report("startup", found, raw, wanted)


def main() -> None:
    """Measure and write bench/results/startup.json."""
    run(measure(options.parsed(__doc__, rounds=ROUNDS)))


if __name__ == "__main__":
    main()
