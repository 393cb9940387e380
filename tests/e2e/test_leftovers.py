"""A node that comes up among the remains of guests, its own and those of somebody else."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import guest_pids
from tests.e2e.test_desktop import viewing
from tests.harness.farm import until_vm
from tests.harness.host_traces import CGROUPS
from tests.harness.node import NodeProcess
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

VM: Final = 99_999
LINK: Final = "255R"
"""The same in base 36, as links are called."""
FAMILIES: Final = ("inet", "bridge")
PLANTED: Final = 9
"""Two mounts in two folders, a link, two chains, a group and a process."""


@dataclass
class Remains:
    """A mount, a folder, a veth, a rule and a control group with a process, under one prefix."""

    folder: Path
    prefix: str
    process: "asyncio.subprocess.Process | None" = None

    @property
    def mounts(self) -> list[Path]:
        """A root and a run folder."""
        return [self.folder / "vms" / str(VM) / "1" / "root", self.folder / "run" / str(VM)]

    @property
    def link(self) -> str:
        """The host's end of the veth."""
        return f"{self.prefix}qv{LINK}"

    @property
    def table(self) -> str:
        """The name of the rules."""
        return f"qvdnode_{self.prefix}"

    @property
    def group(self) -> Path:
        """Where the processes of the guest are."""
        hierarchy = CGROUPS if (CGROUPS / "cgroup.controllers").exists() else CGROUPS / "memory"
        return hierarchy / f"{self.prefix}qvdguests" / f"{self.prefix}qvd-{VM}"

    def has_rules(self, family: str) -> bool:
        """Whether the chain that was planted stands."""
        listing = ["nft", "list", "table", family, self.table]
        return b"planted" in subprocess.run(listing, capture_output=True, check=False).stdout

    async def plant(self) -> None:
        """Leave all of it behind."""
        for mount in self.mounts:
            mount.mkdir(parents=True)
            run("mount", "-t", "tmpfs", "-o", "size=64k", "stray", str(mount))
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", f"{self.prefix}peer")
        for family in FAMILIES:
            run("nft", "add", "table", family, self.table)
            run("nft", "add", "chain", family, self.table, "planted")
        self.group.mkdir(parents=True)
        self.process = await asyncio.create_subprocess_exec("sleep", "600")
        (self.group / "cgroup.procs").write_text(str(self.process.pid))

    def left(self) -> set[str]:
        """Which of it there still is."""
        mounted = Path("/proc/self/mountinfo").read_text()
        return {
            *(f"mount {mount}" for mount in self.mounts if f" {mount} " in mounted),
            *(f"folder {mount}" for mount in self.mounts if mount.exists()),
            *(["link"] if Path(f"/sys/class/net/{self.link}").exists() else []),
            *(f"rules {family}" for family in FAMILIES if self.has_rules(family)),
            *(["group"] if self.group.exists() else []),
            *(["process"] if self.process and self.process.returncode is None else []),
        }

    async def remove(self) -> None:
        """Whatever the node did."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        with contextlib.suppress(OSError):
            self.group.rmdir()
            self.group.parent.rmdir()
        run("ip", "link", "del", self.link, check=False)
        for mount in self.mounts:
            run("umount", str(mount), check=False)


def run(*command: str, check: bool = True) -> None:
    """Run it, and fail unless told otherwise when it does."""
    subprocess.run(command, capture_output=True, check=check, timeout=60)


@pytest_asyncio.fixture(loop_scope="session")
async def own(node: NodeProcess) -> AsyncIterator[Remains]:
    """Of a VM that the node does not know any more."""
    remains = Remains(node.state_dir, node.prefix)
    yield remains
    await remains.remove()


@pytest_asyncio.fixture(loop_scope="session")
async def foreign(node: NodeProcess, tmp_path: Path) -> AsyncIterator[Remains]:
    """Of another instance, whose prefix begins like the node's."""
    remains = Remains(tmp_path, f"{node.prefix}x")
    yield remains
    await remains.remove()
    for family in FAMILIES:
        run("nft", "delete", "table", family, remains.table, check=False)


async def test_its_own_remains_go_and_those_of_others_stay(
    node: NodeProcess,
    make: MakeDesk,
    screen: Screen,
    tmp_path: Path,
    own: Remains,
    foreign: Remains,
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path / "before"):
        first = guest_pids(desk)[0]
        await node.sigkill()
    await own.plant()
    await foreign.plant()
    planted = foreign.left()
    assert len(own.left()) == len(planted) == PLANTED
    await node.start()
    assert await until(lambda: not own.left(), what=f"{own.left()} to be gone")
    assert foreign.left() == planted
    async with viewing(desk, screen, tmp_path / "after"), node.rest() as rest:
        await until_vm(rest, desk.vm_id, state="running", display="connected")
    assert guest_pids(desk)[0] == first
