"""A flavour may ask for it: whoever leaves the keyboard alone is disconnected, as by a lock."""

from pathlib import Path

import pytest

from tests.e2e.conftest import NUMBERS, Screen
from tests.e2e.guest_processes import in_guest
from tests.harness.farm import make_desk, make_flavour, until_vm
from tests.harness.node import NodeProcess
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

IDLE_S = 60.0
"""What the flavour says; nxagent takes no less."""
WINDOW_S = 60.0


@pytest.mark.timeout(360)
async def test_an_idle_desktop_is_disconnected_and_shown_again_as_it_was(
    node: NodeProcess, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    number = next(NUMBERS)
    flavour = await make_flavour(rest, f"idle{number}", "icewm", idle_minutes=1)
    desk = await make_desk(node, rest, f"idle{number}", flavour)
    try:
        for idle in (False, True, False):  # so it is one that was resumed
            async with desk.dial() as connection:
                assert (await connection.connect(desk.vm_id, link="lan")).status == 101
                async with Viewer(connection, screen.display, tmp_path) as viewer:
                    await screen.watcher.drawn(await screen.watcher.wait_new(WINDOW_S), WINDOW_S)
                    await until_vm(rest, desk.vm_id, display="connected")
                    # Programs may switch the screen saver off: that is none of theirs.
                    in_guest(desk, "DISPLAY=:100 xset s off || true")
                    if idle:
                        limit_s = 2 * IDLE_S + 30
                        await until(viewer.over.is_set, limit_s=limit_s, what="to be left")
            await until_vm(rest, desk.vm_id, state="running", display="suspended", generation=1)
    finally:
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
