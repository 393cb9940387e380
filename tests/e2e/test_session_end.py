"""A user is told why a session ended, and an administrator finds the reason afterwards."""

import asyncio
import itertools
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import guest_pids, in_guest
from tests.e2e.test_closed_window import qvd_connect
from tests.harness.farm import make_desk, make_flavour, until_vm
from tests.harness.node import NodeProcess
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBERS = itertools.count(1)
SHOWN_S = 60.0


async def test_a_desktop_whose_program_is_missing_says_so_to_all(
    node: NodeProcess, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    name = f"broken{next(NUMBERS)}"
    flavour = await make_flavour(rest, name, "icewm", application="no-such-program --now")
    desk = await make_desk(node, rest, name, flavour)
    async with qvd_connect(desk, screen.display, tmp_path) as (client, said):
        assert await asyncio.wait_for(client.wait(), SHOWN_S) == 1
    told = " ".join(said.read_text().split())
    assert "The desktop's program could not be run (exit code 127)" in told
    view = await until_vm(rest, desk.vm_id, state="failed")
    assert "could not be run" in view["error"]
    assert "could not be run" in view["last_end"]
    assert any("no-such-program" in line for line in view["last_lines"]), view
    log = (await rest.get(f"/vms/{desk.vm_id}/log"))["text"]
    assert "could not be run" in log
    assert "no-such-program" in log
    assert "Session: Starting session" in log


async def test_a_logout_is_called_one(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with qvd_connect(desk, screen.display, tmp_path) as (client, said):
        await screen.watcher.drawn(await screen.watcher.wait_new(SHOWN_S), SHOWN_S)
        in_guest(desk, "kill $(cat /run/qvd/desktop.pid)")
        assert await asyncio.wait_for(client.wait(), SHOWN_S) == 0
    assert "You logged out; the desktop has ended." in " ".join(said.read_text().split())
    view = await until_vm(rest, desk.vm_id, state="stopped")
    assert view["error"] is None
    assert view["last_end"] == "You logged out; the desktop has ended."


async def test_a_prepared_desktop_is_adopted_and_shown(
    node: NodeProcess, make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    started = await rest.post(f"/vms/{desk.vm_id}/start?wait=true")
    assert (started["state"], started["display"]) == ("running", "off")
    # Init and what it waits with; no display and no program of the user's.
    await until(lambda: len(guest_pids(desk)) == 2, what="a guest of two processes")
    first = guest_pids(desk)
    await node.sigkill()
    await node.start()
    async with node.rest() as fresh:
        await until_vm(fresh, desk.vm_id, state="running", display="off", generation=1)
        await until(lambda: guest_pids(desk) == first, what="the same processes")
        async with qvd_connect(desk, screen.display, tmp_path):
            await until_vm(fresh, desk.vm_id, limit_s=SHOWN_S, display="connected", generation=1)
    assert guest_pids(desk)[0] == first[0]
