"""On the kernel that runs."""

from pathlib import Path

from qvdnode.memopt.core.meminfo import Pressure
from qvdnode.memopt.host_memory import HostMemoryReader
from qvdnode.memopt.own_reclaim import OwnReclaim
from qvdnode.telemetry.metrics import exposition
from tests.fakes.clock import ManualClock


def test_the_running_kernel_is_understood() -> None:
    memory = HostMemoryReader().memory()
    assert 0 < memory.available_mib <= memory.total_mib


def test_a_kernel_without_pressure_or_ksm_shows_none(tmp_path: Path) -> None:
    reader = HostMemoryReader(proc=tmp_path, ksm=tmp_path)
    assert reader.pressure("cpu").some_pct == 0
    assert reader.ksm_pages_sharing() == 0


def test_what_the_node_pushes_is_no_pressure(tmp_path: Path) -> None:
    clock = ManualClock()
    own = OwnReclaim(clock)
    reader = HostMemoryReader(proc=tmp_path, ksm=tmp_path, own=own)
    (tmp_path / "pressure").mkdir()
    pressure = tmp_path / "pressure" / "memory"
    pressure.write_text("some avg10=60.00 total=1000000\nfull avg10=60.00 total=1000000\n")
    assert reader.pressure("memory") == Pressure(60.0, 60.0), "nothing older is known yet"
    with own.running():
        clock.advance(4.0)
    pressure.write_text("some avg10=60.00 total=6000000\nfull avg10=60.00 total=5000000\n")
    assert reader.pressure("memory") == Pressure(25.0, 0.0)
    pressure.write_text("some avg10=60.00\n")
    assert reader.pressure("memory") == Pressure(60.0, 0.0), "a kernel that tells no totals"


def test_the_metrics_follow_the_host(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 2048 kB\nMemAvailable: 1024 kB\n")
    HostMemoryReader(proc=tmp_path, ksm=tmp_path).show()
    assert b"qvdnode_host_memory_total_bytes 2.097152e+06" in exposition()
    (tmp_path / "meminfo").write_text("MemTotal: 1024 kB\nMemAvailable: 1024 kB\n")
    assert b"qvdnode_host_memory_total_bytes 1.048576e+06" in exposition()
