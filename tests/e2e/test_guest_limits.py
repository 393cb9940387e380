"""A desktop that has used up what its flavour gives it: everybody concerned is told."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import NUMBERS, Screen
from tests.e2e.guest_processes import in_guest, in_guest_charged, named_pids
from tests.harness.farm import Desk, make_desk, make_flavour, vm_view
from tests.harness.node import NodeProcess
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW_S = 60.0
SHOWN_S = 60.0
REACH = {
    "home": ("head -c 100m /dev/zero >~/big; true", "Your home (64 MiB) is full"),
    "disk": ("head -c 100m /dev/zero >/var/tmp/big; true", "The disk of this desktop"),
    "memory": ("head -c 900m /dev/zero | tail -c 900m >/dev/null; true", "192 MiB of memory"),
    "pids": ("sh -c 'for i in $(seq 1 150); do sleep 8 & done'; true", "may run 120 processes"),
}
"""What reaches each limit, and what its user reads then.

A host with swap gives a guest as much of it as memory. The processes are measured, every 5 s,
while none can be started to say so: it is said later.
"""
SMALL: dict[str, Any] = {"memory_mib": 192, "pids_max": 120, "home_mib": 64, "disk_mib": 64}


@pytest.mark.timeout(300)
async def test_each_limit_is_logged_counted_shown_and_told_to_the_user(
    node: NodeProcess, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    number = next(NUMBERS)
    flavour = await make_flavour(rest, f"small{number}", "icewm", **SMALL)
    desk = await make_desk(node, rest, f"small{number}", flavour)
    try:
        async with desk.dial() as connection:
            assert (await connection.connect(desk.vm_id, link="lan")).status == 101
            async with Viewer(connection, screen.display, tmp_path):
                await screen.watcher.drawn(await screen.watcher.wait_new(WINDOW_S), WINDOW_S)
                for limit, (command, sentence) in REACH.items():
                    before = await rest.metric(metric_of(limit))
                    in_guest_charged(desk, command)
                    await until_told(desk, rest, limit, sentence)
                    assert await rest.metric(metric_of(limit)) > before
                    if limit == "home":
                        in_guest(desk, "rm ~/big")
    finally:
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
    view = await vm_view(rest, desk.vm_id)
    assert {one["limit"] for one in view["limits_reached"]} == REACH.keys()
    logged = [event for event in node.events("guest_limit_reached") if event["vm"] == desk.vm_id]
    assert {event["limit"] for event in logged} == REACH.keys()


def metric_of(limit: str) -> str:
    """The name of the counter, with its label."""
    return f'qvdnode_guest_limits_reached_total{{limit="{limit}"}}'


async def until_told(desk: Desk, rest: Rest, limit: str, sentence: str) -> None:
    """The VM shows the limit, and the desktop a window with the sentence."""

    async def shown() -> bool:
        view = await vm_view(rest, desk.vm_id)
        return any(one["limit"] == limit and one["at"] for one in view["limits_reached"])

    await until(shown, limit_s=SHOWN_S, what=f"the VM to show the limit of {limit}")
    await until(lambda: told(desk, sentence), limit_s=SHOWN_S, what=f"a notice of {limit}")


def told(desk: Desk, sentence: str) -> bool:
    """Whether a window of the desktop has that sentence; the one before may still be ending."""
    return any(name == "xterm" and sentence in _command_of(pid) for pid, name in named_pids(desk))


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except OSError:
        return ""
