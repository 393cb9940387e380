"""System accounts and what they reach."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qvdnode.host.process import run
from qvdnode.host.system_account import (
    SystemAccount,
    closed_folder,
    ensure_account,
    own_folder,
    passable_folder,
)
from qvdnode.model.errors import HostFailed
from tests.fixtures_postgres import state_folder

NOBODY = SystemAccount("nobody", 65534, 65534)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = state_folder()
    yield made
    shutil.rmtree(made)


async def test_an_account_that_exists_is_found() -> None:
    root = await ensure_account("root")
    assert (root.uid, root.gid) == (0, 0)


async def test_a_command_runs_with_nothing_of_roots_left(tmp_path: Path) -> None:
    shown = await run(
        NOBODY.command("sh", "-c", "id -u; id -g; id -G; pwd; grep CapEff /proc/self/status")
    )
    assert shown.stdout.decode().split() == [
        "65534", "65534", "65534", "/", "CapEff:", "0000000000000000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "owner", "closed"),
    [
        (0o700, 0, True),
        (0o711, 0, False),
        (0o700, 65534, False),
        (0o077, 65534, True),
        (0o770, 0, True),
    ],
)
def test_a_closed_folder_on_the_way_is_named(
    folder: Path, mode: int, owner: int, *, closed: bool
) -> None:
    inner = folder / "inner"
    inner.mkdir()
    os.chown(inner, owner, 0)
    inner.chmod(mode)
    (inner / "data").mkdir()
    for place in (inner, inner / "data"):
        assert closed_folder(place, NOBODY) == (inner if closed else None)


@pytest.mark.parametrize(("mode", "closed"), [(0o770, True), (0o001, False)])
def test_a_folder_is_closed_to_other_users_whoever_owns_it(
    folder: Path, mode: int, *, closed: bool
) -> None:
    folder.chmod(mode)
    assert closed_folder(folder) == (folder if closed else None)


def test_an_own_folder_is_closed_to_others(folder: Path) -> None:
    for _ in range(2):
        own_folder(folder / "pg", NOBODY)
    status = (folder / "pg").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (65534, 65534, 0o700)


def test_a_folder_to_pass_stays_roots(folder: Path) -> None:
    own_folder(folder / "pg", NOBODY)  # as an older program had it
    passable_folder(folder / "pg", NOBODY)
    status = (folder / "pg").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 65534, 0o750)


@pytest.mark.parametrize("make", [own_folder, passable_folder])
def test_a_folder_of_somebody_elses_is_neither_taken_nor_given_away(
    folder: Path, make: Callable[[Path, SystemAccount], None]
) -> None:
    (folder / "theirs").mkdir()
    os.chown(folder / "theirs", 12345, 12345)
    with pytest.raises(HostFailed, match="belongs to the user id 12345"):
        make(folder / "theirs", NOBODY)
    (folder / "link").symlink_to("theirs")
    with pytest.raises(NotADirectoryError):
        make(folder / "link", NOBODY)
    assert (folder / "theirs").stat().st_uid == 12345
