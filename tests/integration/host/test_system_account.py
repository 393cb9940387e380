"""System accounts and what they reach."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.host.process import run
from qvdnode.host.system_account import SystemAccount, closed_parent, ensure_account, own_folder
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
    assert closed_parent(inner / "data", NOBODY) == (inner if closed else None)


def test_an_own_folder_is_closed_to_others(folder: Path) -> None:
    for _ in range(2):
        own_folder(folder / "pg", NOBODY)
    status = (folder / "pg").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (65534, 65534, 0o700)
