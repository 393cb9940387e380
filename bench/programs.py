"""Whether well-known programs work in each desktop: started, photographed, and told in a matrix.

`python -m bench.programs [DESKTOP...]`, as root; all desktops if none is named. `make desktops`
runs it. A program works when, within its time, a window of its own is drawn on the desktop and it
still runs then, or, if it has no window, when it ends with 0. It gets the environment of the
desktop's own panel, as if chosen from the menu. The matrix is drawn into docs/desktops.md.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from tests.e2e.guest_processes import pids_by_name
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, import_image, make_desk, make_flavour
from tests.harness.lxc_attach import attach_argv
from tests.harness.node import running_node, test_root
from tests.harness.qvd import Viewer
from tests.harness.screen import xvfb
from tests.waiting import until

FIGURES: Final = RESULTS / "programs.json"
MARKS: Final = ("<!-- programs: make desktops -->\n", "<!-- end of programs -->\n")
PANELS: Final = {"xfce4-panel", "lxpanel", "mate-panel", "gnome-panel", "plasmashell", "icewm"}
LOCALES: Final = ("en_US", "es_ES")
"""Each language costs a minute of a build."""
LIMIT_S: Final = 240.0
LOOK_S: Final = 0.5
DRAWN_SHARE: Final = 0.05
"""Of the desktop's pixels, those that a window must change."""
COLOURS: Final = 16
"""A window that shows fewer than these is blank."""
SAMPLE_STEP: Final = 7
"""One pixel in so many is looked at."""
MOVING_S: Final = 10.0
"""A window that moves for ever is photographed after so long."""
QML: Final = """
import QtQuick
import QtQuick.Controls
ApplicationWindow {
    visible: true; width: 720; height: 480; title: "QML"
    Column {
        anchors.centerIn: parent; spacing: 12
        Label { text: "Qt Quick"; font.pixelSize: 32 }
        Button { text: "A button" }
        Slider { value: 0.4 }
        CheckBox { text: "A box"; checked: true }
        Rectangle {
            width: 400; height: 120
            gradient: Gradient {
                GradientStop { position: 0; color: "steelblue" }
                GradientStop { position: 1; color: "gold" }
            }
        }
    }
}
"""
CLIP: Final = "ffmpeg -y -v error -f lavfi -i testsrc2=size=640x360:rate=25 -t 20 -pix_fmt yuv420p"


@dataclass(frozen=True, slots=True)
class Program:
    """What is started, and how."""

    name: str
    packages: tuple[str, ...]
    command: str
    before: str = ":"
    """Run first, to its end."""
    window: bool = True

    @property
    def word(self) -> str:
        """What its processes have in their command lines."""
        return Path(self.command.split()[0]).name


PROGRAMS: Final = (
    Program("Firefox", ("firefox-esr",), "firefox-esr about:support"),
    Program("Chromium", ("chromium",), "chromium --no-first-run chrome://version"),
    Program("LibreOffice", ("office",), "libreoffice --writer --norestore"),
    Program("GTK 4", ("gtk-4-examples",), "gtk4-widget-factory"),
    Program("Qt 6 with widgets", ("designer-qt6",), "/usr/lib/qt6/bin/designer"),
    Program(
        "Qt 6 with QML",
        ("qml-qt6", "qml6-module-qtquick-controls", "qml6-module-qtquick-templates",
         "qml6-module-qtquick-layouts", "qml6-module-qtquick-window",
         "qml6-module-qtqml-workerscript",
            "qml6-module-qtquick"),
        "/usr/lib/qt6/bin/qml /tmp/try.qml",
        before=f"cat >/tmp/try.qml <<'END'{QML}END",
    ),
    Program("Java Swing", ("default-jre", "jedit"), "jedit -noserver -nosplash"),
    Program("OpenGL by GLX", ("mesa-utils",), "glxgears"),
    Program("OpenGL by EGL", ("mesa-utils",), "es2gears_x11"),
    Program(
        "Video", ("ffmpeg", "mpv"), "mpv --loop --really-quiet /tmp/clip.mp4",
        before=f"{CLIP} /tmp/clip.mp4",
    ),
    Program("ping", ("iputils-ping",), "ping -c 1 127.0.0.1", window=False),
)  # fmt: skip
PACKAGES: Final = tuple(dict.fromkeys(name for each in PROGRAMS for name in each.packages))


@dataclass(frozen=True, slots=True)
class OpenDesktop:
    """A desktop that is shown, and the window that shows it."""

    desk: Desk
    watcher: WindowWatcher
    window: int


@asynccontextmanager
async def open_desktop(name: str, root: Path, **flavour: object) -> AsyncIterator[OpenDesktop]:
    """A desktop of that root on a node of its own, once its panel is there."""
    async with (
        running_node(test_root()) as node,
        node.rest() as rest,
        xvfb("1400x1000x24") as display,
        WindowWatcher(display, SystemClock()) as watcher,
    ):
        await import_image(rest, name, root)
        made = await make_flavour(
            rest, name, name, **{"home_mib": 512, "disk_mib": 2048, "pids_max": 2048, **flavour}
        )
        desk = await make_desk(node, rest, "ana", made)
        async with desk.dial() as connection:
            answer = await connection.connect(desk.vm_id, link="lan", geometry="1280x800")
            if answer.status != 101:
                raise AssertionError(f"{name}: {answer.status} {answer.body!r}")
            async with Viewer(connection, display, node.state_dir / "viewer"):
                window = await watcher.wait_new(LIMIT_S)
                await until(lambda: panel(desk) > 0, limit_s=LIMIT_S, what="the desktop's panel")
                yield OpenDesktop(desk, watcher, window)


async def tried(name: str, root: Path, folder: Path | None) -> dict[str, bool]:
    """Which programs work in a desktop; pictures of those with windows go into `folder`, if any."""
    async with open_desktop(name, root, memory_mib=4096) as shown:
        watcher, window = shown.watcher, shown.window
        _, bare = await last_change(watcher, window, time.monotonic())
        found = {}
        for program in PROGRAMS:
            picture = await run(program, shown.desk, watcher, window, bare)
            found[program.name] = picture is not None
            if folder is not None and picture is not None and program.window:
                write_picture(folder / f"{name}-{program.name.lower().replace(' ', '-')}", picture)
        return found


def write_picture(file: Path, picture: Picture) -> None:
    """Write a PNG; its ending is added."""
    content = png.encode_rgb(picture.width, picture.height, picture.rgb)
    file.with_name(f"{file.name}.png").write_bytes(content)


async def run(
    program: Program, desk: Desk, watcher: WindowWatcher, window: int, bare: Picture
) -> Picture | None:
    """The desktop with the program on it, or None if it does not work."""
    if not program.window:
        return bare if await in_session(desk, program.command) else None
    log = f"/tmp/{program.word}.log"
    await in_session(desk, program.before)
    await in_session(desk, f"setsid -f {program.command} >{log} 2>&1")
    try:
        shown = await drawn(watcher, window, bare)
        return shown if shown and await in_session(desk, f"pgrep -f {_pattern(program)}") else None
    finally:
        # Whatever it has started goes with it: the next program begins on a bare desktop.
        await in_session(desk, f"pkill -KILL -f {_pattern(program)}")
        await last_change(watcher, window, time.monotonic())


async def drawn(watcher: WindowWatcher, window: int, bare: Picture) -> Picture | None:
    """The desktop once a window is drawn on it and rests, or has moved for a while."""
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        now = await watcher.picture(window)
        if now is not None and shows_a_window(bare, now):
            return (await last_change(watcher, window, time.monotonic(), limit_s=MOVING_S))[1]
        await asyncio.sleep(LOOK_S)
    return None


def _pattern(program: Program) -> str:
    """For pgrep, which must not find the shell that runs it."""
    return f"'{program.word[:-1]}[{program.word[-1]}]'"


async def in_session(desk: Desk, command: str) -> bool:
    """Whether a command succeeds that runs as a program of the desktop's menu would.

    It has the panel's settings, and is confined as all of the guest: LXC enters, since what nsenter
    starts has no filter of system calls.
    """
    prefix = f"{desk.node.prefix}qvd"
    enter = attach_argv(prefix, f"{prefix}-{desk.vm_id}", desk.node.state_dir / "lxc")
    done = await process.run(
        [
            *enter, "--", "/usr/bin/setpriv", "--reuid=1000", "--regid=1000", "--init-groups",
            "--inh-caps=-all", "/usr/bin/env", "-i", *session_environment(desk), "sh", "-c",
            f"cd; {command}",
        ],
        check=False, limit_s=LIMIT_S,
    )  # fmt: skip
    return done.returncode == 0


def session_environment(desk: Desk) -> list[str]:
    """What the desktop's panel was started with, and so all programs of its menu."""
    content = Path(f"/proc/{panel(desk)}/environ").read_text(encoding="utf-8")
    return list(filter(None, content.split("\0")))


def panel(desk: Desk) -> int:
    """The process of the desktop's panel, in the host's numbering; 0 if there is none."""
    return next(iter(pids_by_name(desk, PANELS).values()), 0)


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


def packages(name: str) -> tuple[str, ...]:
    """What the image of that desktop needs besides."""
    small = name == "icewm"  # has no group of office programs, and no pgrep
    instead = ("libreoffice-writer", "procps")
    return tuple(word for word in PACKAGES if not small or word != "office") + instead * small


def main() -> None:
    """Try the programs in the desktops named."""
    parser = argparse.ArgumentParser(prog="python -m bench.programs")
    parser.add_argument("names", nargs="*", default=recipes.names())
    parser.add_argument("--suite", default=None)
    parser.add_argument("--pictures", type=Path, default=None, help="a folder to keep them in")
    asked = parser.parse_args()
    for name in asked.names:
        root = build_if_missing(recipes.by_name(name, Choice(asked.suite, packages(name), LOCALES)))
        found = asyncio.run(tried(name, root, asked.pictures))
        write(name, found)
        for program, works in found.items():
            print(f"{name}: {program}: {'works' if works else 'does not work'}")


if __name__ == "__main__":
    main()
