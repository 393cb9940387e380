"""A real node with an image and users, for the benches that show desktops."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.image.core.recipe import Recipe
from qvdnode.runtime.clock import SystemClock
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, furnish
from tests.harness.node import NodeProcess, running_node, test_root
from tests.harness.qvd import QvdConnection, Viewer
from tests.harness.screen import xvfb


@dataclass(frozen=True)
class Stage:
    """A node, its desks and a screen that shows their windows."""

    node: NodeProcess
    desks: Sequence[Desk]
    display: str
    watcher: WindowWatcher
    image: Path
    """The root folder that the node has imported."""


@contextlib.asynccontextmanager
async def new_screen() -> AsyncIterator[tuple[str, WindowWatcher]]:
    """A display for many desktops, and who notices their windows."""
    async with (
        xvfb(max_clients=2048) as display,
        WindowWatcher(display, SystemClock()) as watcher,
    ):
        yield display, watcher


@contextlib.asynccontextmanager
async def stage(
    users: int, *, recipe: Recipe | None = None, memory_mib: int = 512, **settings: dict[str, Any]
) -> AsyncIterator[Stage]:
    """Everything that a bench of desktops needs, gone afterwards; of IceWM if none is named."""
    root = await asyncio.to_thread(build_if_missing, recipe)
    async with (
        running_node(test_root(), **settings) as node,
        new_screen() as (display, watcher),
    ):
        yield Stage(
            node, await furnish(node, root, users, memory_mib=memory_mib), display, watcher, root
        )


@contextlib.asynccontextmanager
async def shown(desk: Desk, stage: Stage) -> AsyncIterator[tuple[QvdConnection, Viewer]]:
    """A desk's desktop on the stage's display, from the dialling on; ended at the end."""
    async with desk.dial() as connection, shown_on(connection, desk, stage) as viewer:
        yield connection, viewer


@contextlib.asynccontextmanager
async def shown_on(connection: QvdConnection, desk: Desk, stage: Stage) -> AsyncIterator[Viewer]:
    """The same on a connection that is dialled already."""
    folder = Path(stage.node.state_dir) / "viewers" / desk.login
    answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600", fullscreen="0")
    if answer.status != 101:
        raise AssertionError(f"{desk.login}: {answer.status} {answer.body!r}")
    async with Viewer(connection, stage.display, folder) as viewer:
        yield viewer


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample below which that share of all lies (nearest rank)."""
    return sorted(samples)[max(0, math.ceil(share * len(samples)) - 1)]
