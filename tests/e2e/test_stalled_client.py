"""A client that stops reading in the middle of its stream costs the node and its user nothing."""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import in_guest
from tests.e2e.test_desktop import viewing
from tests.harness.farm import until_vm
from tests.harness.node import NodeProcess
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLOOD = "DISPLAY=:100 setsid xterm -e 'while :; do seq 99999; done' >/dev/null 2>&1 &"
GROWTH_MAX_KIB = 16 * 1024


def rss_kib(node: NodeProcess) -> int:
    """Memory that the node's process holds."""
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def proxies_of(folder: Path) -> list[int]:
    """The client programs that run for that folder."""
    home = f"HOME={folder}\0".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = home in (entry / "environ").read_bytes()
            name = (entry / "comm").read_text().strip()
        except OSError:
            continue
        if is_ours and name == "nxproxy":
            found.append(int(entry.name))
    return found


async def test_it_is_held_back_and_the_next_client_finds_the_same_desktop(
    node: NodeProcess, make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    stalled = tmp_path / "stalled"
    async with viewing(desk, screen, stalled) as (_, viewer):
        first = await until_vm(rest, desk.vm_id, display="connected")
        before = rss_kib(node)
        frozen = proxies_of(stalled)
        assert frozen
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        in_guest(desk, FLOOD)
        await until(lambda: "xterm" in in_guest(desk, "cat /proc/[0-9]*/comm"), what="the flood")
        async with viewing(desk, screen, tmp_path / "next"):
            await until(viewer.over.is_set, what="the stalled client's stream to be cut")
            again = await until_vm(rest, desk.vm_id, display="connected")
            assert rss_kib(node) - before < GROWTH_MAX_KIB
    assert again["generation"] == first["generation"]
