"""Hundreds of clients that vanish while their desktop is being resumed: a part of `make soak`.

None may cost its desktop, nor leave one that cannot be reached. What that takes happens once in
some hundred times, so the few of tests/e2e/test_display_faults.py would seldom see it.

    python -m tests.vanishing_clients [CLIENTS [DESKS]]
"""

import asyncio
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.runtime.clock import SystemClock
from tests.e2e.conftest import Screen
from tests.e2e.test_display_faults import WINDOW_S, succeed
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, furnish, until_vm
from tests.harness.node import running_node, test_root
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest
from tests.harness.screen import xvfb

CLIENTS: Final = 1500
DESKS: Final = 3
SIZES: Final = ("640x480", "640x480", "640x480", "800x600")
"""Most come back as they were, which spares a script; some want another size."""
BEFORE_WINDOW_S: Final = (0.012, 0.1)
"""After the answer; an nxproxy greets some 10 ms after it was launched."""
AFTER_WINDOW_S: Final = (0.0, 0.08)


class Visitors:
    """All clients of one desk, one after another on a screen of their own."""

    def __init__(self, desk: Desk, rest: Rest, screen: Screen) -> None:
        self._desk = desk
        self._rest = rest
        self._screen = screen
        self._chance = random.Random(desk.vm_id)
        self.generation = 0
        """Which start of the VM the first of them saw."""

    async def see(self, folder: Path) -> None:
        """Connect as a user does and see the desktop drawn."""
        generation = await succeed(self._desk, self._screen, folder, self._rest)
        assert self.generation in {0, generation}, f"lost: {generation}"
        self.generation = generation

    async def vanish(self, folder: Path) -> None:
        """Connect, and be gone before or soon after the window is there."""
        async with self._desk.dial() as connection:
            size = self._chance.choice(SIZES)
            answer = await connection.connect(self._desk.vm_id, link="lan", geometry=size)
            assert answer.status == 101, answer
            async with Viewer(connection, self._screen.display, folder) as viewer:
                span = self._chance.choice((BEFORE_WINDOW_S, AFTER_WINDOW_S))
                if span is AFTER_WINDOW_S:
                    await self._screen.watcher.wait_new(WINDOW_S)
                with contextlib.suppress(TimeoutError):  # the moment is what is tried
                    await asyncio.wait_for(viewer.over.wait(), self._chance.uniform(*span))
                greeted = viewer.received > 0
                connection.abort()
        # One that was gone before it greeted leaves the display listening.
        wanted: dict[str, Any] = {"display": "suspended"} if greeted else {}
        view = await until_vm(self._rest, self._desk.vm_id, **wanted)
        assert (view["state"], view["generation"]) == ("running", self.generation), f"lost: {view}"


async def visit(desk: Desk, clients: int, folder: Path) -> None:
    """See the desktop, let clients vanish from it, and find the same one at the end."""
    async with (
        desk.node.rest() as rest,
        xvfb() as display,
        WindowWatcher(display, SystemClock()) as watcher,
    ):
        visitors = Visitors(desk, rest, Screen(display, watcher))
        await visitors.see(folder / "first")
        for number in range(clients):
            await visitors.vanish(folder / str(number))
        await visitors.see(folder / "last")


async def run(clients: int, desks: int) -> None:
    """All of it on a node of its own."""
    image = await asyncio.to_thread(build_if_missing)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vanishing-") as folder:
        async with running_node(test_root()) as node, asyncio.TaskGroup() as group:
            for number, desk in enumerate(await furnish(node, image, desks)):
                group.create_task(visit(desk, clients // desks, Path(folder) / str(number)))
    seconds = time.monotonic() - began_s
    print(f"{clients // desks * desks} clients vanished in {seconds:.0f} s and cost nothing")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    asyncio.run(run(*[*numbers, *(CLIENTS, DESKS)[len(numbers) :]]))
