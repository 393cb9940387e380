"""Every desktop that ships: built, booted, photographed, and what it costs. `make desktops`.

Names on the command line choose some; `--suite trixie` builds for that release. The images are kept
with those of the tests; what building one took is measured when it is built. Figures are kept in
`results/desktops.json`, one entry for each desktop and release, and drawn into docs/desktops.md;
pictures are put beside it.
"""

import argparse
import asyncio
import json
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.results_file import RESULTS
from qvdnode.client.core.picture import Picture
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.host import idle_load
from qvdnode.image import recipes
from qvdnode.image.core.recipe import Recipe
from qvdnode.image.core.recipe_choice import Choice
from qvdnode.runtime.clock import SystemClock
from qvdnode.wire import png
from tests.fixtures_image import build_if_missing, folder
from tests.harness.farm import Desk, import_image, make_desk, make_flavour
from tests.harness.node import NodeProcess, running_node, test_root
from tests.harness.qvd import Viewer
from tests.harness.screen import xvfb

DOCS: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = DOCS / "desktops.md"
FIGURES: Final = RESULTS / "desktops.json"
MARKS: Final = ("<!-- figures: make desktops -->\n", "<!-- end of figures -->\n")
PICTURE_SCALE: Final = 2
WINDOW_LIMIT_S: Final = 60.0
REST_S: Final = 3.0
"""A desktop that does not change for so long is drawn."""
SETTLE_S: Final = 60.0
IDLE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What one desktop costs."""

    suite: str
    build_cpu_s: float | None
    """Of all programs that the build ran; None if the image was there already."""
    size_mib: int
    drawn_s: float
    """From the client's request, the desktop stopped, until nothing more is drawn."""
    pss_mib: float
    cpu_pct: float
    """Of one core, while nobody touches the desktop, as the next."""
    wakeups_per_s: float
    processes: Sequence[dict[str, Any]]


def built(recipe: Recipe) -> tuple[Path, float | None]:
    """The image's root, and the CPU time that building it took, if it had to be built."""
    if folder(recipe).exists():
        return folder(recipe), None
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    root = build_if_missing(recipe)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return root, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def of_desktop(recipe: Recipe) -> tuple[Figures, bytes]:
    """The figures and a picture, as PNG."""
    root, build_cpu_s = built(recipe)
    drawn_s, loads, picture = asyncio.run(shown(recipe.name, root))
    whole = idle_load.total(loads)
    return (
        Figures(
            recipe.suite, None if build_cpu_s is None else round(build_cpu_s), size_mib(root),
            round(drawn_s, 1), round(whole.pss_mib), round(whole.cpu_pct, 2),
            round(whole.wakeups_per_s, 1), [asdict(load) for load in loads],
        ),
        picture,
    )  # fmt: skip


def size_mib(root: Path) -> int:
    """What the files of the image take on the disk."""
    facts = {(found := path.lstat()).st_ino: found.st_blocks for path in root.rglob("*")}
    return sum(facts.values()) * 512 >> 20


async def shown(name: str, root: Path) -> tuple[float, list[idle_load.Load], bytes]:
    """Seconds until it is drawn, what it does when idle, and its picture."""
    async with (
        running_node(test_root()) as node,
        node.rest() as rest,
        xvfb("1400x1000x24") as display,
        WindowWatcher(display, SystemClock()) as watcher,
    ):
        await import_image(rest, name, root)
        flavour = await make_flavour(rest, name, name, memory_mib=2048, home_mib=512)
        desk = await make_desk(node, rest, "ana", flavour)
        async with desk.dial() as connection:
            began = time.monotonic()
            answer = await connection.connect(
                desk.vm_id, link="lan", geometry="1280x800", fullscreen="0"
            )
            if answer.status != 101:
                raise AssertionError(f"{name}: {answer.status} {answer.body!r}")
            async with Viewer(connection, display, node.state_dir / "viewer"):
                window = await watcher.wait_new(WINDOW_LIMIT_S)
                drawn_s, picture = await last_change(watcher, window, began)
                loads = await idle(node, desk)
                return drawn_s, loads, small(picture)


async def last_change(
    watcher: WindowWatcher, window: int, began: float, limit_s: float = WINDOW_LIMIT_S
) -> tuple[float, Picture]:
    """When the window was last drawn on, in seconds since `began`, and what it shows."""
    last: Picture | None = None
    at = time.monotonic()
    while last is None or time.monotonic() - at < REST_S:
        now = await watcher.picture(window)
        if now is not None and now.shows_something() and now != last:
            last, at = now, time.monotonic()
        if time.monotonic() - began > limit_s:
            break
        await asyncio.sleep(0.05)
    if last is None:
        raise AssertionError("nothing was drawn")
    return at - began, last


async def idle(node: NodeProcess, desk: Desk) -> list[idle_load.Load]:
    """What each process does when nobody touches the desktop."""
    await asyncio.sleep(SETTLE_S)
    guest = node.state_dir / "vms" / str(desk.vm_id)
    before = idle_load.counters(idle_load.pids_of(guest))
    began = time.monotonic()
    await asyncio.sleep(IDLE_S)
    after = idle_load.counters(idle_load.pids_of(guest))
    return idle_load.loads(before, after, time.monotonic() - began)


def small(picture: Picture) -> bytes:
    """A PNG of half the size: each of its pixels is the mean of four."""
    width, height = picture.width // PICTURE_SCALE, picture.height // PICTURE_SCALE
    stride = picture.width * 3
    rows = []
    for row in range(height):
        first = picture.rgb[2 * row * stride : (2 * row + 1) * stride]
        second = picture.rgb[(2 * row + 1) * stride : (2 * row + 2) * stride]
        made = bytearray(width * 3)
        for colour in range(3):
            made[colour::3] = bytes(
                (a + b + c + d) // 4
                for a, b, c, d in zip(
                    first[colour : width * 6 : 6], first[colour + 3 : width * 6 : 6],
                    second[colour : width * 6 : 6], second[colour + 3 : width * 6 : 6],
                    strict=True,
                )
            )  # fmt: skip
        rows.append(bytes(made))
    return png.encode_rgb(width, height, b"".join(rows))


def cell(value: object) -> str:
    """A figure as the table shows it; empty if it was not measured."""
    return "" if value is None else str(value)


def table(found: dict[str, dict[str, Any]]) -> str:
    """The page's table."""
    head = (
        "| desktop | Debian | image, MiB | build, CPU s | drawn after, s | memory idle, MiB (PSS)"
        " | CPU idle, % of a core | wake-ups a second |\n|---|---|---|---|---|---|---|---|\n"
    )
    keys = ("suite", "size_mib", "build_cpu_s", "drawn_s", "pss_mib", "cpu_pct", "wakeups_per_s")
    rows = [
        f"| {key.partition('-')[0]} | {' | '.join(cell(entry[name]) for name in keys)} |\n"
        for key, entry in sorted(found.items())
    ]
    return head + "".join(rows)


def write(name: str, figures: Figures, picture: bytes) -> None:
    """Keep what was found, and draw the page's table anew."""
    known = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    key = f"{name}-{figures.suite}"
    made = asdict(figures)
    if made["build_cpu_s"] is None:
        made["build_cpu_s"] = known.get(key, {}).get("build_cpu_s")
    known[key] = made
    FIGURES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    pictures = DOCS / "desktops"
    pictures.mkdir(exist_ok=True)
    (pictures / f"{name}-{figures.suite}.png").write_bytes(picture)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    PAGE.write_text(f"{before}{MARKS[0]}{table(known)}{MARKS[1]}{after}", encoding="utf-8")


def main() -> None:
    """Build and measure those named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench.desktops")
    parser.add_argument("names", nargs="*", default=recipes.names())
    parser.add_argument("--suite", default=None)
    asked = parser.parse_args()
    for name in asked.names:
        recipe = recipes.by_name(name, Choice(suite=asked.suite))
        figures, picture = of_desktop(recipe)
        write(name, figures, picture)
        print(f"{name}: {figures.size_mib} MiB, drawn after {figures.drawn_s} s")
        print(idle_load.table([idle_load.Load(**load) for load in figures.processes]))


if __name__ == "__main__":
    main()
