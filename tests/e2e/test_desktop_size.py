"""A desktop follows the client that shows it: its size at every connect, not only at the first."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeDesk, Screen
from tests.harness.farm import Desk, until_vm
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest
from tests.harness.screen import xvfb
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW = re.compile(r'"QVD": \("NXAgent" "NXAgent"\) +(\d+x\d+)')


async def size_shown(display: str) -> str | None:
    """The size of the desktop's window; None while there is none."""
    listing = await asyncio.create_subprocess_exec(
        "xwininfo", "-root", "-tree", "-display", display, stdout=subprocess.PIPE
    )
    text, _ = await listing.communicate()
    found = WINDOW.search(text.decode())
    return found and found[1]


@asynccontextmanager
async def shown(desk: Desk, display: str, folder: Path, **wishes: str) -> AsyncIterator[None]:
    """The desk's desktop on an X display."""
    async with desk.dial() as connection:
        answer = await connection.connect(desk.vm_id, link="lan", **wishes)
        assert answer.status == 101, answer
        async with Viewer(connection, display, folder):
            yield


async def is_shown_as(display: str, size: str) -> None:
    """The window gets that size, and has it for good."""

    async def right() -> bool:
        return await size_shown(display) == size

    await until(right, limit_s=30, what=f"a window of {size}")


async def test_a_reconnect_takes_the_size_of_the_new_client(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with xvfb("1920x1200x24") as large:
        for display, size in (
            (screen.display, "800x600"),
            (screen.display, "640x480"),
            (screen.display, "1000x700"),
            (large, "1600x1000"),  # larger than the whole screen that it was on
            (screen.display, "800x600"),
        ):
            async with shown(desk, display, tmp_path, geometry=size):
                await is_shown_as(display, size)
                await until_vm(rest, desk.vm_id, display="connected", generation=1)
            await until_vm(rest, desk.vm_id, display="suspended")


async def test_a_reconnect_may_fill_the_screen_and_a_later_one_not(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with xvfb("1024x768x24") as small:
        for display, wishes, size in (
            (screen.display, {"geometry": "800x600"}, "800x600"),
            (screen.display, {"geometry": "800x600", "fullscreen": "1"}, "1280x800"),
            (small, {"geometry": "800x600", "fullscreen": "1"}, "1024x768"),
            (screen.display, {"geometry": "700x500"}, "700x500"),
        ):
            async with shown(desk, display, tmp_path, **wishes):
                await is_shown_as(display, size)
                await until_vm(rest, desk.vm_id, display="connected")
            await until_vm(rest, desk.vm_id, display="suspended")


async def test_a_desktop_that_was_started_for_nobody_fits_its_first_client(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    await rest.post(f"/vms/{desk.vm_id}/start?wait=true")
    async with shown(desk, screen.display, tmp_path, geometry="640x480", keyboard="pc105/de"):
        await is_shown_as(screen.display, "640x480")
        await until_vm(rest, desk.vm_id, display="connected", generation=1)


async def test_parameters_of_a_client_that_never_came_are_dropped(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with shown(desk, screen.display, tmp_path, geometry="800x600"):
        await until_vm(rest, desk.vm_id, display="connected")
    await until_vm(rest, desk.vm_id, display="suspended")
    async with desk.dial() as connection:  # it gets the seat, and goes
        assert (await connection.connect(desk.vm_id, geometry="1000x700")).status == 101
    await until_vm(rest, desk.vm_id, viewer=False)
    async with shown(desk, screen.display, tmp_path, geometry="640x480"):
        await is_shown_as(screen.display, "640x480")


MORE_DEPTHS = ("-pixdepths", "1", "4", "8", "12", "15", "16", "24", "32")
"""Xvfb has six of them by itself; other X servers have others."""


async def test_a_desktop_goes_on_on_an_x_server_with_more_depths_or_fewer(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with xvfb("1280x800x24", 512, *MORE_DEPTHS) as other:
        for display in (screen.display, other, screen.display):
            async with shown(desk, display, tmp_path, geometry="800x600"):
                await is_shown_as(display, "800x600")
                await until_vm(rest, desk.vm_id, display="connected", generation=1)
            await until_vm(rest, desk.vm_id, display="suspended")


async def test_a_desktop_that_began_on_a_large_screen_takes_large_sizes_again(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with xvfb("3840x2160x24") as large:
        for display, size in (
            (large, "3840x2160"),
            (screen.display, "800x600"),
            (large, "2560x1440"),
            (large, "3840x2160"),
        ):
            async with shown(desk, display, tmp_path, geometry=size):
                await is_shown_as(display, size)
                await until_vm(rest, desk.vm_id, display="connected", generation=1)
            await until_vm(rest, desk.vm_id, display="suspended")
