"""What the kernel's own files say."""

from pathlib import Path

from qvdnode.host.cgroups import Cgroups, CgroupVersion
from qvdnode.host.probes.system import controllers


def test_v2_lists_its_controllers(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu memory pids\n")
    found = controllers(Cgroups(CgroupVersion.V2, (tmp_path,)))
    assert found == {"cpuset", "cpu", "memory", "pids"}


def test_v1_names_its_folders_after_them() -> None:
    mounted = Path("/sys/fs/cgroup")
    found = controllers(Cgroups(CgroupVersion.V1, (mounted / "cpu,cpuacct", mounted / "memory")))
    assert found == {"cpu", "cpuacct", "memory"}
