"""The node of a demo that was killed, found again by the next one."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.cli.demo.node import end_orphan
from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.daemon import announcement
from qvdnode.daemon.announcement import Announcement
from qvdnode.host import process
from qvdnode.host.child import Child
from tests.waiting import until

WAITS = (sys.executable, "-c", "import signal; signal.pause()")


@pytest.fixture
def plan(tmp_path: Path) -> DemoPlan:
    return DemoPlan(tmp_path, "demo", None, 0, 0, None, once=False)


@pytest.fixture
async def announced(plan: DemoPlan, words: tuple[str, ...]) -> AsyncIterator[Child]:
    """A process with these words on its command line, that the folder says is its node."""
    child = await process.launch([*WAITS, *(word.format(plan=plan) for word in words)])
    line = Path(f"/proc/{child.pid}/cmdline")
    await until(line.read_bytes, what="the kernel to show what it runs")
    announcement.publish(plan.state_dir, Announcement(child.pid, 1, 2, "SHA256:0"))
    yield child
    await process.end(child, grace_s=0)


@pytest.mark.parametrize("words", [("-m", "qvdnode", "serve", "--config", "{plan.config_file}")])
async def test_it_is_ended(plan: DemoPlan, announced: Child) -> None:
    await end_orphan(plan)
    assert await announced.wait() != 0


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "qvdnode", "serve", "--config", "/etc/qvdnode/qvdnode.toml"),
        ("/opt/qvdnode/notes.txt",),
    ],
)
async def test_another_process_that_has_its_number_now_is_left_alone(
    plan: DemoPlan, announced: Child
) -> None:
    await end_orphan(plan)
    assert announced.returncode is None
