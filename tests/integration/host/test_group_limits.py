import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.host.cgroups import Cgroups, CgroupVersion, probe
from qvdnode.host.group_limits import GroupLimits, create

LIMITS = GroupLimits(memory_mib=64, cpu_pct=150, pids_max=9)


@pytest.fixture
def group() -> Iterator[str]:
    """The name of a group, removed at the end."""
    parent = f"qvdtest{secrets.token_hex(3)}"
    yield f"{parent}/one"
    cgroups = probe()
    cgroups.kill(parent)
    cgroups.remove(parent)


def limit_of(cgroups: Cgroups, group: str, *names: str) -> str:
    """What the one of these files that there is says."""
    for hierarchy in cgroups.hierarchies:
        for name in names:
            file = hierarchy / group / name
            if file.exists():
                return file.read_text().strip()
    raise AssertionError(names)


def test_a_group_has_its_limits_and_takes_processes(group: str) -> None:
    cgroups = probe()
    joined = create(cgroups, group, LIMITS)
    assert cgroups.memory(group).limit_bytes == 64 * 1024 * 1024
    assert limit_of(cgroups, group, "pids.max") == "9"
    assert limit_of(cgroups, group, "cpu.max", "cpu.cfs_quota_us").split()[0] == "150000"
    script = 'for file; do echo $$ > "$file"; done; exec sleep 60'
    with subprocess.Popen(["sh", "-c", script, "sh", *map(str, joined)]) as child:
        try:
            while child.pid not in cgroups.processes(group):
                assert child.poll() is None
        finally:
            child.kill()


@pytest.mark.parametrize("memory_mib", [32, 128])
def test_a_group_that_is_there_gets_the_new_limits(group: str, memory_mib: int) -> None:
    cgroups = probe()
    create(cgroups, group, LIMITS)
    create(cgroups, group, GroupLimits(memory_mib, cpu_pct=10, pids_max=5))
    assert cgroups.memory(group).limit_bytes == memory_mib * 1024 * 1024
    assert limit_of(cgroups, group, "pids.max") == "5"


def test_a_unified_hierarchy_hands_its_controllers_down(tmp_path: Path) -> None:
    # This host may have version 1 alone, so that one is made of plain files.
    root = tmp_path
    (root / "cgroup.controllers").write_text("cpu memory pids\n")
    cgroups = Cgroups(CgroupVersion.V2, (root,))
    (joined,) = create(cgroups, "all/one", LIMITS)
    assert joined == root / "all/one/cgroup.procs"
    assert (root / "cgroup.subtree_control").read_text().split() == ["+memory", "+cpu", "+pids"]
    assert (joined.parent / "memory.max").read_text() == f"{64 * 1024 * 1024}\n"
    assert (joined.parent / "cpu.max").read_text() == "150000 100000\n"
    assert (root / "all/cgroup.subtree_control").exists()
