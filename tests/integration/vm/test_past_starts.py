"""The folder of past starts: bounded, private, and no guest can hurt it."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from qvdnode.model.ids import Generation, VmId
from qvdnode.vm.core.start_record import StartRecord
from qvdnode.vm.past_starts import OUTPUT_TAIL, PER_VM, StoredPastStarts

VM = VmId(7)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def record(generation: int = 1, vm: int = 7) -> StartRecord:
    return StartRecord(VmId(vm), Generation(generation), AT, "It ended.", failed=False, log="log\n")


async def test_the_newest_few_are_kept_oldest_first(tmp_path: Path) -> None:
    past = StoredPastStarts(tmp_path / "past")
    for generation in (8, 9, 10, 11):
        await past.keep(record(generation), None)
    await past.keep(record(1, vm=71), None)
    assert [one.generation for one in await past.of(VM)] == [9, 10, 11]
    assert len(list((tmp_path / "past").iterdir())) == PER_VM + 1
    assert stat.S_IMODE((tmp_path / "past").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "past").iterdir()} == {0o600}


async def test_all_vms_together_are_bounded(tmp_path: Path) -> None:
    past = StoredPastStarts(tmp_path, files_max=4)
    for vm in range(1, 8):
        await past.keep(record(vm=vm), None)
        os.utime(tmp_path / f"{vm}-1.json", (vm, vm))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "4-1.json", "5-1.json", "6-1.json", "7-1.json",
    ]  # fmt: skip


async def test_the_end_of_what_the_desktop_printed_is_kept(tmp_path: Path) -> None:
    home, past = tmp_path / "home", StoredPastStarts(tmp_path / "past")
    home.mkdir()
    (home / ".xsession-errors").write_bytes(b"x" * 2 * OUTPUT_TAIL + b"\xff no-such-program\n")
    await past.keep(record(), home)
    [kept] = await past.of(VM)
    assert kept.last_lines[-1].endswith("no-such-program")
    assert len(kept.log) < OUTPUT_TAIL + 100


@pytest.mark.parametrize("forge", ["link", "fifo", "folder", "nothing", "no home"])
async def test_a_forged_home_costs_no_record_and_shows_nothing_of_the_host(
    tmp_path: Path, forge: str
) -> None:
    home, past = tmp_path / "home", StoredPastStarts(tmp_path / "past")
    errors = home / ".xsession-errors"
    if forge != "no home":
        home.mkdir()
    if forge == "link":
        errors.symlink_to("/etc/passwd")
    elif forge == "fifo":
        os.mkfifo(errors)
    elif forge == "folder":
        errors.mkdir()
    await past.keep(record(), home)
    [kept] = await past.of(VM)
    assert kept.log == "log\n"


async def test_what_cannot_be_kept_or_read_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "past").write_text("a file in the place of the folder")
    await StoredPastStarts(tmp_path / "past").keep(record(), None)
    assert "start_not_kept" in caplog.messages
    past = StoredPastStarts(tmp_path)
    (tmp_path / "7-1.json").write_text("damaged")
    await past.keep(record(2), None)
    assert [one.generation for one in await past.of(VM)] == [2]
