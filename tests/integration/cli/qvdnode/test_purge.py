"""`qvdnode purge` as a person types it."""

import asyncio
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from qvdnode.cli.qvdnode.program import app
from qvdnode.daemon.state_folder import prepare
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.settings import DatabaseSettings
from qvdnode.host import id_reservations
from qvdnode.host.lxc_locks import LOCKS, remove_locks
from qvdnode.host.system_account import ensure_account
from qvdnode.model.guest import IDS_PER_GUEST
from tests.fixtures_postgres import state_folder
from tests.harness.terminal import at_terminal


@pytest.fixture
def folder() -> Iterator[Path]:
    """A state folder with a home in it."""
    made = state_folder()
    (made / "images").mkdir()
    (made / "homes" / "5").mkdir(parents=True)
    (made / "homes" / "5" / "letter").write_text("Dear Bob")
    yield made
    shutil.rmtree(made, ignore_errors=True)


def purge(*folders: Path) -> Result:
    words = [word for folder in folders for word in ("--state-dir", str(folder))]
    return CliRunner().invoke(app, ["purge", "--yes", *words])


def test_a_state_folder_is_removed_and_a_missing_one_is_fine(folder: Path) -> None:
    result = purge(folder, folder / "never-was")
    assert result.exit_code == 0
    assert f"removed {folder}" in result.output
    assert not folder.exists()


def test_all_that_a_node_makes_at_its_start_is_known(folder: Path) -> None:
    prepare(folder)
    assert (folder / "past-starts").is_dir()
    assert purge(folder).exit_code == 0
    assert not folder.exists()


def test_what_lxc_has_left_about_its_guests_goes_too(folder: Path) -> None:
    lock = LOCKS / str(folder / "lxc").lstrip("/")
    lock.mkdir(parents=True)
    try:
        assert purge(folder).exit_code == 0
        assert not lock.parent.exists()
    finally:
        remove_locks(folder / "lxc")


def test_the_account_that_stays_is_told_when_something_was_removed(folder: Path) -> None:
    account = asyncio.run(ensure_account(DatabaseSettings().system_user))
    assert f"userdel {account.name}" in purge(folder).output
    assert "userdel" not in purge(folder).output


def test_the_folder_of_a_node_that_runs_is_left_alone(folder: Path) -> None:
    with StateLock(folder):
        result = purge(folder)
    assert result.exit_code == 1
    assert "already serves" in result.output
    assert (folder / "homes" / "5" / "letter").exists()


def test_the_folder_of_a_node_whose_desktops_run_on_is_left_alone(folder: Path) -> None:
    ids = id_reservations.unused(IDS_PER_GUEST, seed=secrets.randbits(16))
    with subprocess.Popen(["sleep", "60"], user=ids.start) as guest:
        try:
            with id_reservations.reserved(ids, folder):
                pass
            result = purge(folder)
        finally:
            guest.kill()
    assert result.exit_code == 1
    assert "still run" in result.output
    assert (folder / "homes" / "5" / "letter").exists()
    assert purge(folder).exit_code == 0


@pytest.mark.parametrize("stranger", ["letter", "passwd", ".profile", "usr"])
def test_a_folder_that_holds_anything_else_is_left_as_it_is(folder: Path, stranger: str) -> None:
    (folder / stranger).write_text("mine")
    before = sorted(folder.rglob("*"))
    result = purge(folder)
    assert result.exit_code == 2
    assert f"it holds {stranger}" in result.output
    assert sorted(folder.rglob("*")) == before


def test_a_folder_that_was_never_a_nodes_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    result = purge(tmp_path)
    assert result.exit_code == 2
    assert "not the state folder" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_link_is_followed_before_it_is_judged(tmp_path: Path) -> None:
    (tmp_path / "somebodys").mkdir()
    (tmp_path / "somebodys" / "thesis").write_text("mine")
    (tmp_path / "state").symlink_to(tmp_path / "somebodys")
    assert purge(tmp_path / "state").exit_code == 2
    assert (tmp_path / "somebodys" / "thesis").exists()


def test_homes_are_named_and_kept_when_nobody_can_be_asked(folder: Path) -> None:
    (folder / "homes" / "6.img").write_bytes(bytes(2 << 20))
    (folder / "homes" / "5.cut-off").touch()
    result = CliRunner().invoke(app, ["purge", "--state-dir", str(folder)])
    assert result.exit_code == 2
    assert "the homes of 2 users (2" in result.output
    assert "--yes" in result.output
    assert (folder / "homes" / "5" / "letter").exists()


@pytest.mark.parametrize("answer", ["y", "", "homes"])
async def test_another_answer_than_its_name_removes_nothing(folder: Path, answer: str) -> None:
    said = await at_terminal(
        {}, "purge", "--state-dir", str(folder), typed=(answer,), program="qvdnode"
    )
    assert said.exit_code == 1
    assert "the homes of 1 user" in said.screen
    assert (folder / "homes" / "5" / "letter").exists()


async def test_its_name_removes_it(folder: Path) -> None:
    said = await at_terminal(
        {}, "purge", "--state-dir", str(folder), typed=(folder.name,), program="qvdnode"
    )
    assert (said.exit_code, folder.exists()) == (0, False)
