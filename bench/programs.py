"""Whether well-known programs work in a desktop: each started, photographed, and told in a matrix.

`python -m bench.programs [DESKTOP...]`, as root; XFCE if none is named. `make desktops` runs it.
A program works when, within its time, a window of its own is drawn on the desktop, or, if it has
none, when it ends with 0. The matrix is drawn into docs/desktops.md.
"""

import argparse
import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.desktops import PAGE, last_change
from bench.results_file import RESULTS
from qvdnode.client.core.picture import Picture
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.host import process
from qvdnode.image import recipes
from qvdnode.image.core.recipe_choice import Choice
from qvdnode.runtime.clock import SystemClock
from qvdnode.wire import png
from tests.e2e.guest_processes import guest_pids
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, import_image, make_desk, make_flavour
from tests.harness.node import running_node, test_root
from tests.harness.qvd import Viewer
from tests.harness.screen import xvfb

FIGURES: Final = RESULTS / "programs.json"
MARKS: Final = ("<!-- programs: make desktops -->\n", "<!-- end of programs -->\n")
SESSION: Final = (
    "export DISPLAY=:100 XDG_RUNTIME_DIR=/run/user/1000 LANG=en_US.UTF-8"
    " DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus PATH=/usr/bin:/bin:/usr/games"
)
LIMIT_S: Final = 120.0
DRAWN_SHARE: Final = 0.05
"""Of the desktop's pixels, those that a window must change."""
COLOURS: Final = 16
"""A window that shows fewer than these is blank."""
SAMPLE_STEP: Final = 7
"""One pixel in so many is looked at."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is started, and how."""

    name: str
    package: str
    command: str
    window: bool = True


PROGRAMS: Final = (
    Program("Firefox", "firefox-esr", "firefox-esr about:support"),
    Program("Chromium", "chromium", "chromium --no-first-run chrome://version"),
    Program("LibreOffice", "office", "libreoffice --writer --norestore"),
    Program("OpenGL by GLX", "mesa-utils", "glxgears"),
    Program("Qt 6", "designer-qt6", "/usr/lib/qt6/bin/designer"),
    Program("GTK 4", "gtk-4-examples", "gtk4-widget-factory"),
    Program("ping", "iputils-ping", "ping -c 1 127.0.0.1", window=False),
)


async def tried(name: str, root: Path, folder: Path) -> dict[str, bool]:
    """Which programs work in a desktop; pictures of those with windows go into `folder`."""
    async with (
        running_node(test_root()) as node,
        node.rest() as rest,
        xvfb("1400x1000x24") as display,
        WindowWatcher(display, SystemClock()) as watcher,
    ):
        await import_image(rest, name, root)
        flavour = await make_flavour(rest, name, name, memory_mib=3072, home_mib=512)
        desk = await make_desk(node, rest, "ana", flavour)
        async with desk.dial() as connection:
            answer = await connection.connect(desk.vm_id, link="lan", geometry="1280x800")
            if answer.status != 101:
                raise AssertionError(f"{name}: {answer.status} {answer.body!r}")
            async with Viewer(connection, display, node.state_dir / "viewer"):
                window = await watcher.wait_new(LIMIT_S)
                _, bare = await last_change(watcher, window, time.monotonic())
                found = {}
                for program in PROGRAMS:
                    picture = await run(program, desk, watcher, window, bare)
                    found[program.name] = picture is not None
                    if picture is not None and program.window:
                        file = folder / f"{name}-{program.package}.png"
                        file.write_bytes(png.encode_rgb(picture.width, picture.height, picture.rgb))
                return found


async def run(
    program: Program, desk: Desk, watcher: WindowWatcher, window: int, bare: Picture
) -> Picture | None:
    """The desktop with the program on it, or None if it does not work."""
    if not program.window:
        ended = await in_session(desk, f"{program.command}; echo rc=$?")
        return bare if ended.endswith("rc=0\n") else None
    start = f"setsid -f {program.command} >/tmp/program.log 2>&1; echo"
    await in_session(desk, start)
    try:
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            _, now = await last_change(watcher, window, time.monotonic())
            if shows_a_window(bare, now):
                return now
        return None
    finally:
        # Whatever it has started goes with it: the next program begins on a bare desktop.
        word = Path(program.command.split()[0]).name
        await in_session(desk, f"pkill -KILL -f '{word[:-1]}[{word[-1]}]'; :")
        await last_change(watcher, window, time.monotonic())


async def in_session(desk: Desk, command: str) -> str:
    """What a command says that runs with the session's settings, in all the guest's namespaces."""
    done = await process.run(
        [
            "nsenter", f"--target={guest_pids(desk)[0]}", "--user", "--mount", "--pid", "--net",
            "--ipc", "--uts", "--setuid=1000", "--setgid=1000", "env", "-i",
            f"HOME=/home/{desk.login}", "PATH=/usr/bin:/bin", "sh", "-c",
            f"{SESSION}; cd; . /etc/X11/Xsession.d/60qvd; {command}",
        ],
        check=False,
    )  # fmt: skip
    return done.stdout.decode()


def shows_a_window(bare: Picture, now: Picture) -> bool:
    """Whether something was drawn on the bare desktop, and is more than a blank area."""
    pixels = [
        (before, after)
        for at in range(0, len(now.rgb), 3 * SAMPLE_STEP)
        if (before := bare.rgb[at : at + 3]) != (after := now.rgb[at : at + 3])
    ]
    drawn = len(pixels) > DRAWN_SHARE * len(now.rgb) / (3 * SAMPLE_STEP)
    return drawn and len({after for _, after in pixels}) >= COLOURS


def table(found: dict[str, dict[str, bool]]) -> str:
    """The page's matrix."""
    desktops = sorted(found)
    head = f"| | {' | '.join(desktops)} |\n|---|{'---|' * len(desktops)}\n"
    words = {True: "works", False: "**does not**", None: ""}
    rows = [
        f"| {each.name} | {' | '.join(words[found[key].get(each.name)] for key in desktops)} |\n"
        for each in PROGRAMS
    ]
    return head + "".join(rows)


def write(name: str, found: dict[str, bool]) -> None:
    """Keep what was found, and draw the page's matrix anew."""
    known = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    known[name] = found
    FIGURES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    PAGE.write_text(f"{before}{MARKS[0]}{table(known)}{MARKS[1]}{after}", encoding="utf-8")


def main() -> None:
    """Try the programs in the desktops named."""
    parser = argparse.ArgumentParser(prog="python -m bench.programs")
    parser.add_argument("names", nargs="*", default=["xfce"])
    parser.add_argument("--pictures", type=Path, default=Path("bench/results"))
    asked = parser.parse_args()
    for name in asked.names:
        packages = tuple(program.package for program in PROGRAMS)
        root = build_if_missing(recipes.by_name(name, Choice(add=packages)))
        found = asyncio.run(tried(name, root, asked.pictures))
        write(name, found)
        for program, works in found.items():
            print(f"{name}: {program}: {'works' if works else 'does not work'}")


if __name__ == "__main__":
    main()
