"""Memory that merging saves for a processor second: our pace, the kernel's, and ksmtuned's.

One node with desktops of one image, whose pages are all parted again before each of the three. Each
gets the same time. ksmtuned acts only when memory is short, and starts to be slow: it is taken to
be short from the beginning, which is the case that suits it best.
"""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Final

from bench.density_stage import import_with_programs
from bench.desk_node import Stage, new_screen, shown
from bench.options import parser
from bench.results_file import RESULTS, machine
from bench.running import run
from qvdnode.image import recipes
from qvdnode.memopt.core.figures import MergeFigures
from qvdnode.memopt.core.ksm_pace import SLEEP_MS, Pace, Reading
from qvdnode.memopt.ksm import FOLDER, Ksm
from qvdnode.memopt.optimiser import EVERY_S
from qvdnode.memopt.settings import MemorySettings
from tests.fixtures_image import build_if_missing
from tests.harness.farm import make_desk, make_flavour
from tests.harness.node import running_node, test_root

KEPT: Final = ("run", "pages_to_scan", "sleep_millisecs")
UNMERGE, MERGE = 2, 1
WINDOW_LIMIT_S: Final = 60.0
PROGRAMS_S: Final = 15.0
LEAST_S: Final = 0.01
"""One tick of the kernel's clock: ksmd cannot be seen to have used less."""


Knobs = tuple[int, int]
"""Pages for a batch, and the pause between batches in milliseconds."""
Pacer = Callable[[MergeFigures, float], Knobs]
"""Sets them by what was saved and spent so far, and in how many seconds."""


class Ours:
    """The node's own pace; all desktops were started at the beginning."""

    def __init__(self, desktops: int) -> None:
        self._pace = Pace()
        self._desktops = desktops
        self._seen = 0

    def __call__(self, found: MergeFigures, seconds: float) -> Knobs:
        """By the yield."""
        reading = Reading(found.saved_mib, found.ksmd_cpu_s, seconds, self._seen)
        self._pace = self._pace.after(reading, MemorySettings().ksm_cpu_pct)
        self._seen = self._desktops
        return self._pace.pages, SLEEP_MS


def kernel(_found: MergeFigures, _seconds: float) -> Knobs:
    """The kernel's defaults, which never change."""
    return 100, 20


def ksmtuned(_found: MergeFigures, seconds: float) -> Knobs:
    """The rules of ksmtuned as distributions configure it: 300 pages more each minute."""
    return min(64 + 300 * (1 + int(seconds // 60)), 1250), 10


@dataclass(frozen=True, slots=True)
class Point:
    """What was saved and spent by then."""

    at_s: float
    saved_mib: int
    ksmd_cpu_s: float
    pages_per_s: int


async def measured(name: str, pacer: Pacer, ksm: Ksm, seconds: float) -> list[Point]:
    """Part all pages, then merge for so long."""
    await asyncio.to_thread(write, "run", UNMERGE)
    await asyncio.to_thread(write, "run", MERGE)
    before, began = ksm.figures(), time.monotonic()
    points = [Point(0.0, 0, 0.0, 0)]
    while (at_s := time.monotonic() - began) < seconds:
        now = ksm.figures()
        spent = MergeFigures(now.saved_mib - before.saved_mib, now.ksmd_cpu_s - before.ksmd_cpu_s)
        pages, pause_ms = pacer(spent, at_s)
        write("sleep_millisecs", pause_ms)
        write("pages_to_scan", pages)
        points.append(
            Point(
                round(at_s, 1),
                spent.saved_mib,
                round(spent.ksmd_cpu_s, 2),
                pages * 1000 // pause_ms,
            )
        )
        await asyncio.sleep(EVERY_S)
    print(f"{name}: {points[-1]}", flush=True)
    return points


def write(name: str, value: int) -> None:
    """Set a knob."""
    (FOLDER / name).write_text(f"{value}\n", encoding="ascii")


async def measure(desktops: int, image: str, seconds: float) -> dict[str, list[Point]]:
    """All three on one node; KSM is as before afterwards."""
    kept = {name: int((FOLDER / name).read_text(encoding="ascii")) for name in KEPT}
    # A node leaves the pace to whoever has switched it on before.
    write("run", MERGE)
    try:
        async with AsyncExitStack() as stack:
            await fill(stack, desktops, image)
            ksm, found = Ksm(), {}
            pacers: dict[str, Pacer] = {
                "kernel": kernel,
                "ksmtuned": ksmtuned,
                "ours": Ours(desktops),
            }
            for name, pacer in pacers.items():
                found[name] = await measured(name, pacer, ksm, seconds)
            return found
    finally:
        await asyncio.to_thread(write, "run", UNMERGE)
        for name, value in kept.items():
            write(name, value)


async def fill(stack: AsyncExitStack, desktops: int, image: str) -> None:
    """A node with desktops in use, each with its programs."""
    recipe = recipes.by_name(image)
    root = await asyncio.to_thread(build_if_missing, recipe)
    memory = {"ksm": "tenant", "hibernate": False, "live_reclaim": False, "overcommit": 8.0}
    node = await stack.enter_async_context(
        running_node(test_root(), node={"stop_guests": True}, memory=memory)
    )
    display, watcher = await stack.enter_async_context(new_screen())
    async with node.rest() as rest:
        await import_with_programs(rest, image, recipe)
        flavour = await make_flavour(rest, "bench", image, memory_mib=320)
        desks = [await make_desk(node, rest, f"user{at}", flavour) for at in range(desktops)]
    on = Stage(node, desks, display, watcher, root)
    for desk in desks:
        await stack.enter_async_context(shown(desk, on))
        await watcher.wait_new(WINDOW_LIMIT_S)
    await asyncio.sleep(PROGRAMS_S)


def figures(found: dict[str, list[Point]]) -> dict[str, float]:
    """Memory saved for a second of ksmd, and ours against the others."""
    last = {name: points[-1] for name, points in found.items()}
    rate = {name: one.saved_mib / max(one.ksmd_cpu_s, LEAST_S) for name, one in last.items()}
    given = {f"{name}.saved_mib": float(one.saved_mib) for name, one in last.items()}
    given |= {f"{name}.ksmd_cpu_s": one.ksmd_cpu_s for name, one in last.items()}
    given |= {f"{name}.saved_per_cpu_s": round(value, 2) for name, value in rate.items()}
    for other in ("kernel", "ksmtuned"):
        if rate[other] > 0:
            given[f"saved_per_cpu_s_vs_{other}"] = round(rate["ours"] / rate[other], 2)
    return given


def main() -> None:
    """Measure and write bench/results/ksm.json."""
    asked = parser(__doc__, rounds=1)
    asked.add_argument("--desktops", type=int, default=20)
    asked.add_argument("--image", default="icewm")
    asked.add_argument("--seconds", type=float, default=300.0, help="for each of the three (300)")
    given = asked.parse_args()
    found = run(measure(given.desktops, given.image, given.seconds))
    made = figures(found)
    for key, value in made.items():
        print(f"ksm.{key:<32} {value:>10,.4g}")
    if not (given.dry or given.quick):
        raw = {name: list(map(asdict, points)) for name, points in found.items()}
        (RESULTS / "ksm.raw.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
        result = {
            "name": "ksm", "machine": machine(), "figures": made, "raw": "ksm.raw.json",
            "wanted": {"desktops": given.desktops, "image": given.image, "seconds": given.seconds},
        }  # fmt: skip
        (RESULTS / "ksm.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
