import asyncio
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.host import pidfd, process
from qvdnode.host.cgroups import Cgroups, CgroupVersion, probe
from qvdnode.model.errors import HostFailed
from tests.exhaustion import nothing_to_open_with


@pytest.fixture
def group() -> Iterator[str]:
    cgroups, name = probe(), f"qvdtest-{secrets.token_hex(4)}"
    for hierarchy in cgroups.hierarchies:
        if (hierarchy / "cgroup.procs").exists() and hierarchy.name != "cpuset":
            (hierarchy / name / "below").mkdir(parents=True)
    yield name
    cgroups.kill(name)
    cgroups.remove(name)


async def test_a_group_is_listed_killed_and_removed(group: str) -> None:
    cgroups = probe()
    child = await process.launch(["sleep", "60"])
    for hierarchy in cgroups.hierarchies:
        below = hierarchy / group / "below"
        if below.is_dir():
            (below / "cgroup.procs").write_text(str(child.pid), encoding="ascii")
    assert cgroups.processes(group) == {child.pid}
    assert cgroups.children(group) == {"below"}
    cgroups.remove(f"{group}/below")
    assert cgroups.exists(f"{group}/below")
    assert cgroups.kill(group) == 1
    async with asyncio.timeout(5):
        await child.wait()
    cgroups.remove(group)
    assert not cgroups.exists(group)
    assert cgroups.processes(group) == set()


class Shrinking(Cgroups):
    """A group that loses its last process between two looks at it."""

    def processes(self, group: str) -> set[int]:
        pids = sorted(super().processes(group))
        (self.hierarchies[0] / group / "cgroup.procs").write_text(f"{pids[0]}\n", encoding="ascii")
        return set(pids)


async def test_who_left_the_group_meanwhile_is_not_killed(tmp_path: Path) -> None:
    children = [await process.launch(["sleep", "60"]) for _ in range(2)]
    try:
        member, stranger = sorted(children, key=lambda child: child.pid)
        (tmp_path / "guests").mkdir()
        procs = tmp_path / "guests" / "cgroup.procs"
        procs.write_text(f"{member.pid}\n{stranger.pid}\n", encoding="ascii")
        Shrinking(CgroupVersion.V2, (tmp_path,)).kill("guests")
        assert await asyncio.wait_for(member.wait(), 5) == -signal.SIGKILL
        assert pidfd.start_ticks(stranger.pid) is not None
    finally:
        for child in children:
            await process.end(child, grace_s=0)


def test_a_pure_v2_host_is_told_from_one_with_v1(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    assert probe(tmp_path) == Cgroups(CgroupVersion.V2, (tmp_path,))
    (tmp_path / "cgroup.controllers").unlink()
    for name in ("memory", "unified"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    assert probe(tmp_path) == Cgroups(CgroupVersion.V1, (tmp_path / "memory", tmp_path / "unified"))


@pytest.mark.parametrize("file", ["memory.memsw.limit_in_bytes", "system.slice/memory.swap.max"])
def test_a_kernel_that_counts_swap_is_told_from_one_that_does_not(
    tmp_path: Path, file: str
) -> None:
    (tmp_path / "system.slice").mkdir()
    cgroups = Cgroups(CgroupVersion.V2, (tmp_path,))
    assert not cgroups.limits_swap()
    (tmp_path / file).touch()
    assert cgroups.limits_swap()


@pytest.mark.parametrize(
    ("used", "limit"),
    [("memory.current", "memory.max"), ("memory.usage_in_bytes", "memory.limit_in_bytes")],
)
def test_memory_is_read_from_either_kind(tmp_path: Path, used: str, limit: str) -> None:
    group = tmp_path / "guests"
    group.mkdir()
    (group / used).write_text("100\n", encoding="ascii")
    (group / limit).write_text("max\n" if limit == "memory.max" else "200\n", encoding="ascii")
    cgroups = Cgroups(CgroupVersion.V2, (tmp_path,))
    assert cgroups.memory("guests") == (100, 0 if limit == "memory.max" else 200)
    assert cgroups.memory("nobody") == (0, 0)


def test_a_group_that_cannot_be_read_now_is_not_taken_for_empty(group: str) -> None:
    cgroups = probe()
    with nothing_to_open_with(), pytest.raises(HostFailed, match="Too many open files"):
        cgroups.processes(group)


def test_the_kernels_counters_are_read_on_v1_and_on_v2(tmp_path: Path) -> None:
    memory, pids = tmp_path / "memory" / "guest", tmp_path / "pids" / "guest"
    for folder in (memory, pids):
        folder.mkdir(parents=True)
    cgroups = Cgroups(CgroupVersion.V1, (memory.parent, pids.parent))
    assert (cgroups.killed("guest"), cgroups.forks_refused("guest")) == (0, 0)
    (memory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    (pids / "pids.events").write_text("max 12\n")
    assert (cgroups.killed("guest"), cgroups.forks_refused("guest")) == (3, 12)
    (memory / "memory.events").write_text("low 0\noom 5\noom_kill 4\noom_group_kill 0\n")
    assert cgroups.killed("guest") == 4
    assert cgroups.killed("gone") == 0


async def test_a_program_that_takes_too_much_is_counted(group: str) -> None:
    cgroups = probe()
    limits = {"memory.limit_in_bytes": "16777216", "memory.max": "16777216", "pids.max": "4"}
    for hierarchy in cgroups.hierarchies:
        for name, value in limits.items():
            if (hierarchy / group / name).exists():
                (hierarchy / group / name).write_text(value, encoding="ascii")
    join = "; ".join(
        f"echo $$ >{hierarchy / group / 'cgroup.procs'}"
        for hierarchy in cgroups.hierarchies
        if (hierarchy / group / "memory.limit_in_bytes").exists()
        or (hierarchy / group / "pids.max").exists()
    )
    takes = "head -c 64m /dev/zero | tail -c 64m"
    await process.exit_code(["sh", "-c", f"{join}; {takes}"], limit_s=30)
    many = "sleep 1 & sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait"
    await process.exit_code(["sh", "-c", f"{join}; {many}"], limit_s=30)
    assert cgroups.killed(group) >= 1
    assert cgroups.forks_refused(group) >= 1
