"""Children of a thread that has a filter of system calls."""

import asyncio
import os
import struct
import tempfile
from pathlib import Path

import pytest

from qvdnode.host.filtered_process import FilteredProcesses
from qvdnode.model.errors import HostFailed, TimedOut
from tests.waiting import until

ALLOW_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF_0000)
ENV = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def programs() -> FilteredProcesses:
    return FilteredProcesses(ALLOW_ALL)


async def said(programs: FilteredProcesses, script: str) -> str:
    """What a shell prints."""
    with tempfile.TemporaryFile() as output:
        await programs.exit_code(["sh", "-c", script], env=ENV, limit_s=10, output=output)
        output.seek(0)
        return output.read().decode()


async def test_the_filter_is_theirs_and_not_ours(programs: FilteredProcesses) -> None:
    ours = Path("/proc/self/status").read_text(encoding="utf-8")
    theirs = await said(programs, "grep Seccomp_filters /proc/self/status")
    (before,) = [line for line in ours.splitlines() if line.startswith("Seccomp_filters")]
    assert int(theirs.split()[1]) == int(before.split()[1]) + 1


async def test_an_exit_code_is_had_without_reading_a_word(programs: FilteredProcesses) -> None:
    endless = "yes | head -c 10000000; exit 4"
    assert await programs.exit_code(["sh", "-c", endless], env=ENV, limit_s=10) == 4


async def test_they_inherit_no_descriptor_and_no_environment(programs: FilteredProcesses) -> None:
    left_open = os.open("/", os.O_RDONLY)
    os.set_inheritable(left_open, True)
    try:
        assert f" {left_open} " not in f" {await said(programs, 'echo $(ls /proc/self/fd)')} "
    finally:
        os.close(left_open)
    assert "HOME" not in await said(programs, "env")


async def test_one_that_takes_too_long_is_killed(
    programs: FilteredProcesses, tmp_path: Path
) -> None:
    forever = ["sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 600"]
    with pytest.raises(TimedOut, match=r"did not end within 0\.3 s"):
        await programs.exit_code(forever, env=ENV, limit_s=0.3)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


async def test_one_that_nobody_waits_for_any_more_is_killed(
    programs: FilteredProcesses, tmp_path: Path
) -> None:
    forever = ["sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 600"]
    waiting = asyncio.create_task(programs.exit_code(forever, env=ENV, limit_s=60))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


async def test_one_that_is_not_there_is_told(programs: FilteredProcesses) -> None:
    with pytest.raises(HostFailed, match="nowhere cannot be started: No such file"):
        await programs.exit_code(["/nowhere"], env={}, limit_s=5)
