"""Whatever a guest lets crash, the host's handler of core dumps does not run for it."""

from pathlib import Path

import pytest

from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import guest_pids
from tests.harness.farm import Desk
from tests.harness.node import NodeProcess
from tests.harness.qvd import Viewer

pytestmark = pytest.mark.asyncio(loop_scope="session")


def limits(pid: int) -> list[str]:
    """The soft and the hard limit of a core dump."""
    text = Path(f"/proc/{pid}/limits").read_text()
    return next(line for line in text.splitlines() if "core file" in line).split()[4:6]


async def shown(desk: Desk, screen: Screen, folder: Path) -> list[int]:
    async with desk.dial() as connection:
        answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
        assert answer.status == 101, answer
        async with Viewer(connection, screen.display, folder):
            await screen.watcher.wait_new(60)
            return guest_pids(desk)


async def test_nothing_of_a_node_or_its_guests_is_ever_dumped(
    node: NodeProcess, make: MakeDesk, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    pids = await shown(desk, screen, tmp_path)
    assert pids
    assert node.process is not None
    database = int((node.state_dir / "pg/data/postmaster.pid").read_text().split()[0])
    for pid in (node.process.pid, database, *pids):
        assert limits(pid) == ["1", "1"]
