"""The host was restarted: what rows and files say of before is set right before anybody asks."""

import json
import os
import signal
from pathlib import Path

import asyncpg
import pytest

from qvdnode.db import server_config
from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import guest_pids
from tests.e2e.test_desktop import viewing
from tests.harness.farm import Desk, until_vm, vm_view
from tests.harness.node import NodeProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")

EARLIER = "11111111-2222-3333-4444-555555555555"


async def date_back(node: NodeProcess, desk: Desk) -> None:
    """Make what a node that was killed has written look as if written before a reboot."""
    state_file = node.state_dir / "state" / f"{desk.vm_id}.json"
    record = json.loads(state_file.read_text())
    state_file.write_text(json.dumps({**record, "boot_id": EARLIER}))
    server = (node.state_dir / "pg/data/postmaster.pid").read_text().splitlines()
    connection = await asyncpg.connect(server_config.dsn(Path(server[4])))
    try:
        # a host is away for longer than its lease
        await connection.execute(
            "UPDATE node SET boot_id = $1, lease_until = clock_timestamp()", EARLIER
        )
    finally:
        await connection.close()


async def test_what_ran_before_a_reboot_is_stopped_and_starts_afresh(
    node: NodeProcess, make: MakeDesk, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path):
        pass
    await node.sigkill()
    os.kill(guest_pids(desk)[0], signal.SIGKILL)
    await date_back(node, desk)
    await node.start()
    assert [event["vms"] for event in node.events("vms_marked_stopped_after_reboot")] == [1]
    async with node.rest() as rest:
        assert (await vm_view(rest, desk.vm_id))["state"] in {"killing", "cleaning", "stopped"}
        view = await until_vm(rest, desk.vm_id, state="stopped")
        assert view["error"] == "The host was restarted."
        sessions = (await rest.get(f"/sessions?vm_id={desk.vm_id}&open=true"))["items"]
        assert sessions == []
        async with viewing(desk, screen, tmp_path):
            view = await until_vm(rest, desk.vm_id, state="running", display="connected")
            assert view["generation"] == 2
