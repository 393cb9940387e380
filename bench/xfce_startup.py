"""How long a user waits for XFCE: from the client's request, the desktop stopped, to its panel.

Two moments count: when the desktop's window is mapped, as for IceWM, and when the panel at its
lower edge has got the look that it keeps.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.desk_node import Stage, percentile, shown_on, stage
from bench.results_file import Figure
from qvdnode.client.core.picture import Picture
from qvdnode.image import recipes
from tests.harness.farm import Desk, until_vm
from tests.harness.rest import Rest
from tests.waiting import until

DESKS: Final = 2
SAMPLES: Final = 8
"""In each round."""
WINDOW_LIMIT_S: Final = 60.0
PANEL_HEIGHT: Final = 30
"""In pixels, as the recipe says."""
PANEL_COLOURS: Final = 30
"""A panel with its icons shows more."""
LOOK_S: Final = 0.04
REST_S: Final = 1.0
"""A panel that does not change for so long is drawn."""


@dataclass(frozen=True, slots=True)
class XfceSamples:
    """What one round gave, in seconds since the request."""

    window: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)


async def rounds(count: int) -> list[XfceSamples]:
    """That many rounds on one node, after a start of each desktop that does not count."""
    async with (
        stage(DESKS, recipe=recipes.by_name("xfce"), memory_mib=1024) as on,
        on.node.rest() as rest,
    ):
        await one_round(on, rest, DESKS)  # homes are made, caches filled
        return [await one_round(on, rest, SAMPLES) for _ in range(count)]


async def one_round(on: Stage, rest: Rest, samples: int) -> XfceSamples:
    """Starts of stopped desktops, one after another."""
    found = XfceSamples()
    for number in range(samples):
        desk = on.desks[number % DESKS]
        await one_start(desk, on, found)
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        await until_vm(rest, desk.vm_id, state="stopped")
    return found


async def one_start(desk: Desk, on: Stage, found: XfceSamples) -> None:
    """Show a desktop until its panel is drawn, then drop the client."""
    await until(lambda: empty(on), what="the screen to be empty")
    async with desk.dial() as connection:
        began = time.monotonic()
        async with shown_on(connection, desk, on):
            window = await on.watcher.wait_new(WINDOW_LIMIT_S)
            found.window.append(time.monotonic() - began)
            found.drawn.append(await panel_drawn(on, window) - began)


async def empty(on: Stage) -> bool:
    """Whether no desktop is shown."""
    return await on.watcher.count() == 0


async def panel_drawn(on: Stage, window: int) -> float:
    """When the panel got its look, by the monotonic clock."""
    last, at = b"", time.monotonic()
    limit = at + WINDOW_LIMIT_S
    while time.monotonic() < limit:
        picture = await on.watcher.picture(window)
        now = b"" if picture is None else panel(picture)
        if now != last:
            last, at = now, time.monotonic()
        if time.monotonic() - at > REST_S and is_panel(last):
            return at
        await asyncio.sleep(LOOK_S)
    raise AssertionError("no panel was drawn")


def panel(picture: Picture) -> bytes:
    """The lowest rows of the picture."""
    return picture.rgb[-PANEL_HEIGHT * picture.width * 3 :]


def is_panel(rows: bytes) -> bool:
    """Whether there is more to see than a background."""
    return len({rows[at : at + 3] for at in range(0, len(rows), 3)}) >= PANEL_COLOURS


def figures(found: Sequence[XfceSamples]) -> dict[str, Figure]:
    """The percentiles of both moments, over all samples, beside each round's."""
    series = {"cold": [one.window for one in found], "drawn": [one.drawn for one in found]}
    return {
        f"xfce_{name}_p{share * 100:.0f}_s": Figure(
            percentile([took for one in lists for took in one], share),
            [percentile(one, share) for one in lists],
        )
        for name, lists in series.items()
        for share in (0.5, 0.95)
    }
