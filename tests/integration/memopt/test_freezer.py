"""Real processes in a real group; where their memory goes is tested with a device (e2e)."""

import asyncio
from pathlib import Path

import pytest

from qvdnode.host import process
from qvdnode.host.cgroups import Cgroups, CgroupVersion, probe
from qvdnode.memopt import freezer as freezer_module
from qvdnode.memopt.freezer import HostFreezer
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.clock import SystemClock
from tests.waiting import until


async def test_a_frozen_group_is_reclaimed_and_goes_on_after_a_thaw(
    group: str, tmp_path: Path
) -> None:
    cgroups = probe()
    freezer = HostFreezer(cgroups, SystemClock())
    note = tmp_path / "count"
    counting = f"while :; do echo x >> {note}; sleep 0.01; done"
    child = await process.launch(["sh", "-c", counting])
    for hierarchy in cgroups.hierarchies:
        if (hierarchy / group).is_dir():
            (hierarchy / group / "cgroup.procs").write_text(f"{child.pid}\n", encoding="ascii")
    try:
        await until(note.exists)
        freezer.freeze(group)
        assert freezer.is_frozen(group)
        await freezer.reclaim(group)
        assert freezer.pending == 0
        assert cgroups.has_frozen(group)
        size = note.stat().st_size
        freezer.thaw(group)
        await until(lambda: note.stat().st_size > size, what="it to go on")
        assert not freezer.is_frozen(group)
    finally:
        cgroups.kill(group)
        await process.end(child, grace_s=0)


async def test_a_group_that_does_not_freeze_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezer_module, "FREEZE_LIMIT_S", 0.05)
    (tmp_path / "guests").mkdir()
    (tmp_path / "guests/cgroup.freeze").write_text("1", encoding="ascii")
    (tmp_path / "guests/cgroup.events").write_text("frozen 0\n", encoding="ascii")
    freezer = HostFreezer(Cgroups(CgroupVersion.V2, (tmp_path,)), SystemClock())
    with pytest.raises(TimedOut, match="did not freeze"):
        await freezer.reclaim("guests")


async def test_a_kernel_that_cannot_reclaim_is_told_of(tmp_path: Path) -> None:
    freezer = HostFreezer(Cgroups(CgroupVersion.V2, (tmp_path,)), SystemClock())
    with pytest.raises(HostFailed, match="cannot be pushed"):
        await freezer.reclaim("guests")


async def test_a_slow_disk_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(freezer_module, "WRITER", ("/bin/sh", "-c", "exec sleep 60"))
    monkeypatch.setattr(freezer_module, "RECLAIM_LIMIT_S", 0.2)
    (tmp_path / "guests").mkdir()
    (tmp_path / "guests/memory.reclaim").touch()
    freezer = HostFreezer(Cgroups(CgroupVersion.V2, (tmp_path,)), SystemClock())
    async with asyncio.timeout(30):
        await freezer.reclaim("guests")
    assert "reclaim_cut_short" in caplog.messages
    assert freezer.pending == 0


async def test_a_guest_that_is_wanted_ends_the_reclaim_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezer_module, "WRITER", ("/bin/sh", "-c", "exec sleep 60"))
    (tmp_path / "guests").mkdir()
    (tmp_path / "guests/memory.reclaim").touch()
    freezer = HostFreezer(Cgroups(CgroupVersion.V2, (tmp_path,)), SystemClock())
    reclaim = asyncio.create_task(freezer.reclaim("guests"))
    await until(lambda: freezer.pending == 1)
    async with asyncio.timeout(30):
        reclaim.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reclaim
    assert freezer.pending == 0
