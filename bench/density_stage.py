"""The node, its desks and the screens of a density run."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.image import recipes
from qvdnode.image.core.recipe import Recipe
from qvdnode.runtime.clock import SystemClock
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, import_image, make_desk, make_flavour
from tests.harness.node import NodeProcess, running_node, test_root
from tests.harness.rest import Rest
from tests.harness.screen import xvfb

STOP_LIMIT_S: Final = 600.0
"""For a node to end a thousand desktops."""
DESKS_AT_ONCE: Final = 4
LANES: Final = 3
"""Screens on which windows are counted, besides that of the typists."""
MANY_CLIENTS: Final = 2048
"""What Xvfb takes at most; an nxproxy is one or two of its clients."""
TYPISTS_SCREEN: Final = "3200x2400x24"
RETURNING: Final = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
PLAIN_SCREEN: Final = "800x600x24"
ZRAM_PCT: Final = 300
"""Of the memory; what is in it takes about a third, and the floor of available memory holds."""
OVERCOMMIT: Final = 16.0
GRACE_S: Final = 5
MODES: Final[dict[str, dict[str, Any]]] = {
    "off": {"ksm": "off", "hibernate": False, "live_reclaim": False},
    "ksm": {"ksm": "tenant", "hibernate": False, "live_reclaim": False},
    "hibernate": {"ksm": "off", "zram_pct": ZRAM_PCT, "live_reclaim": False},
    "reclaim": {"ksm": "off", "zram_pct": ZRAM_PCT, "hibernate": False},
    "all": {"ksm": "tenant", "zram_pct": ZRAM_PCT},
}
"""Settings of the node's memory for each mode."""
PAGE: Final = "usr/share/bench/page.html"
PAGE_TEXT: Final = "<!doctype html><title>bench</title>" + "<h2>Section</h2><p>Some text.</p>" * 200


@dataclass(frozen=True, slots=True)
class Programs:
    """What is open on each desktop."""

    first: str
    terminal: str
    wait_s: int
    """Until the first has its window: the terminal comes after it, and so gets the keys."""


EDITORS: Final = {"icewm": Programs("l3afpad", "xterm -geometry 80x24+0+0", 2)}
GTK_EDITOR: Final = Programs("mousepad", "xfce4-terminal --geometry=80x24+0+0", 2)
BROWSER: Final = Programs(f"firefox-esr file:///{PAGE}", GTK_EDITOR.terminal, 30)
PROFILE: Final = "etc/profile.d/bench-programs.sh"
PROFILE_TEXT: Final = """\
# Each desktop of the bench has an editor and a terminal open, which gets the keys.
if [ -n "$DISPLAY" ] && [ -z "$BENCH_PROGRAMS" ]; then
    export BENCH_PROGRAMS=1 NO_AT_BRIDGE=1 GTK_A11Y=none
    (sleep 3; {first} & sleep {wait_s}; exec {terminal}) &
fi
"""
"""Begun by the login of the session, as a user's own programs are."""


@dataclass(frozen=True)
class Lane:
    """A screen on which one login after the other takes place, so each window has its user."""

    display: str
    watcher: WindowWatcher


@dataclass(frozen=True)
class DensityStage:
    """A node with desks, and where their windows appear."""

    node: NodeProcess
    desks: Sequence[Desk]
    typists: Lane
    """The screen of those who type: large enough for all of them side by side."""
    lanes: Sequence[Lane]


async def import_with_programs(
    rest: Rest, name: str, recipe: Recipe, *, browser: bool = False
) -> None:
    """Import the recipe's image; a login opens an editor, or a browser, and a terminal."""
    root = await asyncio.to_thread(build_if_missing, recipe)
    programs = BROWSER if browser else EDITORS.get(recipe.name, GTK_EDITOR)
    texts = {PROFILE: PROFILE_TEXT.format(**asdict(programs)), PAGE: PAGE_TEXT}
    with tempfile.TemporaryDirectory() as folder:
        for path, text in texts.items():
            added = Path(folder) / path
            added.parent.mkdir(parents=True)
            added.parent.chmod(0o755)
            added.write_text(text, encoding="utf-8")
            added.chmod(0o644)
        await import_image(
            rest, name, root, ".", "--directory", folder, PROFILE, str(Path(PAGE).parent)
        )


@contextlib.asynccontextmanager
async def furnished(
    *, image: str, mode: str, desktops: int, memory_mib: int, browser: bool
) -> AsyncIterator[DensityStage]:
    """A node with as many desks, and screens for all of them; gone afterwards."""
    recipe = recipes.by_name(image)
    memory = {"warm_pct": 100, "overcommit": OVERCOMMIT, "busy_pct": 100, **MODES[mode]}
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(
            running_node(test_root(), node={"stop_guests": True}, memory=memory, **roomy(desktops))
        )
        node.stop_limit_s = STOP_LIMIT_S
        rest = await stack.enter_async_context(node.rest())
        await import_with_programs(rest, image, recipe, browser=browser)
        flavour = await make_flavour(
            rest, "bench", image, hibernate_after_s=GRACE_S, memory_mib=memory_mib, disk_mib=256
        )
        typists = await stack.enter_async_context(new_lane(TYPISTS_SCREEN))
        lanes = [await stack.enter_async_context(new_lane(PLAIN_SCREEN)) for _ in range(LANES)]
        desks = await all_desks(node, rest, flavour, desktops)
        yield DensityStage(node, desks, typists, lanes)


def roomy(desktops: int) -> dict[str, dict[str, Any]]:
    """Settings of a node with room for as many desktops: addresses, disk promised beyond its size.

    The network of a test node's harness has 509 addresses. A bridge takes 1,023 links.
    """
    settings: dict[str, dict[str, Any]] = {"image": {"disk_overcommit": 16.0}}
    if desktops > 500:
        settings["network"] = {"subnet": LARGE_SUBNET}
    return settings


LARGE_SUBNET: Final = "10.254.0.0/21"
"""2,045 addresses, of a range that no test draws from."""


async def all_desks(node: NodeProcess, rest: Rest, flavour: int, count: int) -> list[Desk]:
    """As many users with a desktop each."""
    tenant = (await rest.get("/tenants?name=default"))["items"][0]["id"]
    turn = asyncio.Semaphore(DESKS_AT_ONCE)

    async def one(number: int) -> Desk:
        async with turn:
            return await make_desk(node, rest, f"user{number}", flavour, tenant)

    return list(await asyncio.gather(*map(one, range(count))))


@contextlib.asynccontextmanager
async def new_lane(size: str) -> AsyncIterator[Lane]:
    """A screen and who notices its windows."""
    async with AsyncExitStack() as stack:
        with returning_memory():
            display = await stack.enter_async_context(xvfb(size, MANY_CLIENTS, "-extension", "GLX"))
        watcher = await stack.enter_async_context(WindowWatcher(display, SystemClock()))
        yield Lane(display, watcher)


@contextlib.contextmanager
def returning_memory() -> Iterator[None]:
    """Have an X server that is started inside return the memory of pixmaps that are freed.

    Otherwise the C library keeps some 30 MiB for each desktop, ten times what is in use.
    """
    os.environ.update(RETURNING)
    try:
        yield
    finally:
        for name in RETURNING:
            del os.environ[name]
