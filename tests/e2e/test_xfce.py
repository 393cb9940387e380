"""The XFCE image as people use it: drawn, quiet, left by its locks, ended by its Log Out."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from qvdnode.host.idle_load import counters, loads, table, total
from tests.e2e.conftest import NUMBERS, Screen
from tests.e2e.guest_processes import guest_pids, in_guest, pids_by_name
from tests.harness.farm import Desk, import_image, make_desk, make_flavour, until_vm
from tests.harness.node import NodeProcess
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW_S = 60.0
PANEL_S = 60.0
LOOK_S = 10.0
QUIET_CPU_PCT = 1.0
"""Of a core, within `LOOK_S`; it is below 0.2 on a machine that does nothing else."""
QUIET_WAKEUPS_PER_S = 4.0
QUIET_LIMIT_S = 90.0
SESSION = (
    "export DISPLAY=:100 XDG_RUNTIME_DIR=/run/user/1000 QVD_RUN=/run/qvd LANG=es_ES.UTF-8"
    " DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus PATH=/usr/local/bin:/usr/bin:/bin"
)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(node: NodeProcess, rest: Rest, xfce_root: Path) -> AsyncIterator[Desk]:
    """A user with an XFCE desktop in Spanish."""
    number = next(NUMBERS)
    if not (await rest.get("/flavours?name=xfce"))["items"]:
        await import_image(rest, "xfce", xfce_root)
        await make_flavour(
            rest, "xfce", "xfce", memory_mib=1024, home_mib=256, locale="es_ES.UTF-8"
        )
    flavour = (await rest.get("/flavours?name=xfce"))["items"][0]["id"]
    made = await make_desk(node, rest, f"xfce{number}", flavour)
    yield made
    await rest.post(f"/vms/{made.vm_id}/stop?wait=true")


@contextlib.asynccontextmanager
async def drawn(desk: Desk, screen: Screen, folder: Path) -> AsyncIterator[Viewer]:
    """The desktop with its panel on the screen."""
    async with desk.dial() as connection:
        answer = await connection.connect(desk.vm_id, link="lan", geometry="1024x768")
        assert answer.status == 101, answer
        async with Viewer(connection, screen.display, folder) as viewer:
            window = await screen.watcher.wait_new(WINDOW_S)
            assert (await screen.watcher.drawn(window, PANEL_S)).startswith(b"\x89PNG")
            yield viewer


async def test_it_is_drawn_and_then_quiet(
    desk: Desk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    async with drawn(desk, screen, tmp_path):
        wanted = {"xfce4-session", "xfwm4", "xfce4-panel", "xfdesktop"}
        await until(lambda: pids_by_name(desk, wanted).keys() == wanted, limit_s=PANEL_S)
        deadline_s = time.monotonic() + QUIET_LIMIT_S
        while True:
            before = counters(guest_pids(desk))
            await asyncio.sleep(LOOK_S)
            found = loads(before, counters(guest_pids(desk)), LOOK_S)
            whole = total(found)
            if whole.cpu_pct < QUIET_CPU_PCT and whole.wakeups_per_s < QUIET_WAKEUPS_PER_S:
                break
            assert time.monotonic() < deadline_s, f"it does not come to rest:\n{table(found)}"
        setting = in_guest(desk, f"{SESSION}; xfconf-query -c xfwm4 -p /general/use_compositing")
        assert setting == "false\n"
        errors = in_guest(desk, "cat ~/.xsession-errors")
        assert "Compositing manager disabled" in errors
        assert "cannot open display" not in errors
        folders = in_guest(desk, "ls ~")
        assert "Escritorio" in folders.split()


async def test_its_lock_leaves(desk: Desk, rest: Rest, screen: Screen, tmp_path: Path) -> None:
    async with drawn(desk, screen, tmp_path) as viewer:
        in_guest(desk, f"{SESSION}; xflock4")
        await viewer.over.wait()
    await until_vm(rest, desk.vm_id, state="running", display="suspended", generation=1)
    async with drawn(desk, screen, tmp_path / "again"):
        await until_vm(rest, desk.vm_id, display="connected", generation=1)


async def test_log_out_ends_it(desk: Desk, rest: Rest, screen: Screen, tmp_path: Path) -> None:
    async with drawn(desk, screen, tmp_path) as viewer:
        in_guest(desk, f"{SESSION}; xfce4-session-logout --logout")
        await viewer.over.wait()
        await until_vm(rest, desk.vm_id, state="stopped")
