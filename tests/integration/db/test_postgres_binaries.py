"""PostgreSQL's programs, found and made usable."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.db.postgres_binaries import LIBRARIES, Binaries, find_binaries, usable_by
from qvdnode.host.process import run
from qvdnode.host.system_account import SystemAccount
from qvdnode.model.errors import HostFailed
from tests.fixtures_postgres import state_folder

NOBODY = SystemAccount("nobody", 65534, 65534)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = state_folder()
    yield made
    shutil.rmtree(made)


async def test_the_newest_is_taken_unless_the_data_wants_another() -> None:
    newest = await find_binaries(None)
    assert newest.major >= 18
    assert (await find_binaries(newest.major)) == newest
    with pytest.raises(HostFailed, match="made by PostgreSQL 7"):
        await find_binaries(7)


async def test_programs_that_can_be_reached_are_used_in_place(folder: Path) -> None:
    found = Binaries(folder / "installed", "18.4", 18)
    (found.root / "bin").mkdir(parents=True)
    assert await usable_by(found, NOBODY, folder / "store") == found


async def test_programs_behind_a_closed_folder_are_copied_once_and_run(folder: Path) -> None:
    real = await find_binaries(None)
    closed = folder / "closed"
    for part in (real.root, real.root.parent.parent / LIBRARIES):
        inside = part.relative_to(real.root.parent.parent)
        shutil.copytree(part, closed / inside, symlinks=True)
    for path in closed.rglob("*"):  # as a umask of 077 leaves them
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    closed.chmod(0o700)
    store = folder / "store"
    store.mkdir(mode=0o755)
    found = Binaries(closed / real.root.relative_to(real.root.parent.parent), "18.4", 18)
    copy = await usable_by(found, NOBODY, store)
    assert copy.root.is_relative_to(store)
    assert not (copy.root / "include").exists()
    for inside in closed.iterdir():
        inside.rename(folder / inside.name)
    for program in ("postgres", "initdb", "pg_ctl"):
        said = await run(NOBODY.command(copy.program(program), "--version"))
        assert b"PostgreSQL" in said.stdout
    assert await usable_by(found, NOBODY, store) == copy
