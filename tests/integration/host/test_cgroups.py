import asyncio
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.host import pidfd, process
from qvdnode.host.cgroups import Cgroups, CgroupVersion, probe
from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import GuestMemory
from tests.exhaustion import nothing_to_open_with
from tests.waiting import until


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
    async with asyncio.timeout(30):
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
        assert await asyncio.wait_for(member.wait(), 30) == -signal.SIGKILL
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


V2_FILES = {
    "memory.current": "100",
    "memory.max": "max",
    "memory.swap.current": "30",
    "memory.stat": "anon 40\nfile 50\nshmem 5",
    "cpu.stat": "usage_usec 7\nuser_usec 3",
    "memory.reclaim": "",
    "cgroup.freeze": "0",
    "cgroup.events": "populated 1\nfrozen 0",
}
V1_FILES = {
    "memory/memory.usage_in_bytes": "100",
    "memory/memory.limit_in_bytes": "200",
    "memory/memory.stat": "total_rss 40\ntotal_cache 50\ntotal_shmem 5\ntotal_swap 30",
    "cpuacct/cpuacct.usage": "7000",
    "memory/memory.force_empty": "",
    "freezer/freezer.state": "THAWED",
    "freezer/freezer.self_freezing": "0",
}


def host_with(folder: Path, version: CgroupVersion, files: dict[str, str]) -> Cgroups:
    """A host whose hierarchies are folders, with a group `guests` that has these files."""
    for name, content in files.items():
        hierarchy, _, file = name.rpartition("/")
        group = folder / hierarchy / "guests"
        group.mkdir(parents=True, exist_ok=True)
        (group / file).write_text(f"{content}\n", encoding="ascii")
    if version is CgroupVersion.V2:
        return Cgroups(version, (folder,))
    return Cgroups(version, tuple(sorted(folder.iterdir())))


V1, V2 = CgroupVersion.V1, CgroupVersion.V2


@pytest.mark.parametrize(("version", "files", "limit"), [(V1, V1_FILES, 200), (V2, V2_FILES, 0)])
def test_memory_is_read_from_either_version(
    tmp_path: Path, version: CgroupVersion, files: dict[str, str], limit: int
) -> None:
    cgroups = host_with(tmp_path, version, files)
    assert cgroups.memory("guests") == GuestMemory(100, limit, 45, 45, 30, 7)
    assert cgroups.memory("nobody") == GuestMemory(0, 0)


@pytest.mark.parametrize(
    ("version", "files", "name", "words"),
    [
        (V1, V1_FILES, "freezer/guests/freezer.state", ("FROZEN", "THAWED")),
        (V2, V2_FILES, "guests/cgroup.freeze", ("1", "0")),
    ],
)
def test_a_group_is_frozen_by_the_file_of_its_version(
    tmp_path: Path, version: CgroupVersion, files: dict[str, str], name: str, words: tuple[str, str]
) -> None:
    cgroups = host_with(tmp_path, version, files)
    assert not cgroups.is_frozen("guests")
    for work, word in zip((cgroups.freeze, cgroups.thaw), words, strict=True):
        work("guests")
        assert (tmp_path / name).read_text(encoding="ascii") == word


def test_version_2_freezes_beside_version_1(tmp_path: Path) -> None:
    both = {**V1_FILES, "unified/cgroup.freeze": "0"}
    cgroups = host_with(tmp_path, V1, both)
    cgroups.freeze("guests")
    assert cgroups.is_frozen("guests")
    assert (tmp_path / "freezer/guests/freezer.state").read_text(encoding="ascii") == "THAWED\n"


@pytest.mark.parametrize(
    ("version", "files", "name", "content"),
    [
        (V1, V1_FILES, "memory/guests/memory.force_empty", "0"),
        (V2, V2_FILES, "guests/memory.reclaim", "1T"),
    ],
)
def test_memory_is_reclaimed_by_the_file_of_its_version(
    tmp_path: Path, version: CgroupVersion, files: dict[str, str], name: str, content: str
) -> None:
    cgroups = host_with(tmp_path, version, files)
    assert cgroups.reclaim_file("guests") == (tmp_path / name, content)
    assert cgroups.reclaim_file("nobody") is None


def test_a_part_of_the_memory_is_pushed_by_the_files_of_its_version(tmp_path: Path) -> None:
    new = host_with(tmp_path / "v2", V2, {"memory.reclaim": ""})
    assert new.push_writes("guests", 5000) == [(tmp_path / "v2/guests/memory.reclaim", "5000", "")]
    assert new.push_writes("nobody", 5000) == []
    files = {"usage_in_bytes": "9000", "limit_in_bytes": "20000", "swappiness": "60"}
    old = host_with(tmp_path / "v1", V1, {f"memory/memory.{k}": v for k, v in files.items()})
    folder = tmp_path / "v1/memory/guests"
    lowered = (folder / "memory.limit_in_bytes", "4000", "20000")
    swappiness = folder / "memory.swappiness"
    assert old.push_writes("guests", 5000) == [(swappiness, "200", ""), lowered]
    swappiness.unlink()
    assert old.push_writes("guests", 5000) == [lowered]
    assert old.push_writes("guests", 9000) == [], "a group is never left without memory"


def test_a_host_without_a_freezer_says_so(tmp_path: Path) -> None:
    cgroups = host_with(tmp_path, V2, {"memory.current": "1"})
    with pytest.raises(HostFailed, match="no freezer"):
        cgroups.freeze("guests")
    cgroups.thaw("guests")
    assert not cgroups.is_frozen("guests")


@pytest.mark.parametrize("version", [V1, V2])
async def test_real_processes_freeze_thaw_and_can_be_killed_frozen(
    group: str, version: CgroupVersion
) -> None:
    host = probe()
    freezer = "cgroup.freeze" if version is V2 else "freezer.state"
    having = tuple(place for place in host.hierarchies if (place / group / freezer).exists())
    if not having:
        pytest.skip(f"this host has no {freezer}")
    cgroups = Cgroups(version, having)
    child = await process.launch(["sleep", "60"])
    (having[0] / group / "cgroup.procs").write_text(str(child.pid), encoding="ascii")
    for _ in range(2):
        cgroups.freeze(group)
        await until(lambda: cgroups.has_frozen(group), what="the freeze")
        assert cgroups.is_frozen(group)
        cgroups.thaw(group)
        await until(lambda: not cgroups.has_frozen(group), what="the thaw")
        assert not cgroups.is_frozen(group)
    cgroups.freeze(group)
    await until(lambda: cgroups.has_frozen(group), what="the freeze")
    assert cgroups.kill(group) == 1
    assert await asyncio.wait_for(child.wait(), 30) == -signal.SIGKILL


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
    memory = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max")
    # Another program of the host may have made swap.
    limits = {**dict.fromkeys(memory, "16777216"), "memory.swap.max": "0", "pids.max": "4"}
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
