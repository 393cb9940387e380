"""`qvd home`: log, snapshot and restore, by user and by VM."""

import json
from pathlib import Path

import pytest

from tests.integration.admin.sample_farm import PASSWORD
from tests.integration.cli.qvd.conftest import Qvd

pytestmark = [pytest.mark.postgres, pytest.mark.mounts]


async def test_files_come_back_by_a_command(logged_in: Qvd, tmp_path: Path) -> None:
    made = await logged_in("user", "create", "alice", "--password-stdin", stdin=PASSWORD)
    assert made.exit_code == 0, made.output
    [user] = json.loads((await logged_in("user", "list", "--json")).stdout)
    home = tmp_path / "homes" / str(user["id"]) / "home"
    home.mkdir(parents=True)
    (home / "notes").write_text("old")
    none = await logged_in("home", "restore", "alice")
    assert (none.exit_code, "no snapshot" in none.output) == (3, True)
    saved = await logged_in("home", "snapshot", "alice")
    assert "Saved 2 files" in saved.output, saved.output
    (home / "notes").write_text("new")
    [row] = json.loads((await logged_in("home", "log", "alice", "notes", "--json")).stdout)["items"]
    shown = await logged_in("home", "log", "alice")
    assert row["name"] in shown.stdout
    assert "1 snapshot; all of this home take" in shown.output
    told = await logged_in("home", "restore", "alice@default", "notes", "--json")
    folder = json.loads(told.stdout)["folder"]
    assert (home / folder / "notes").read_text() == "old"
    assert (home / "notes").read_text() == "new"
    again = await logged_in("home", "restore", str(user["id"]), "--at", "2h")
    assert (again.exit_code, "from" in again.output) == (3, True)
    nobody = await logged_in("home", "log", "bob")
    assert (nobody.exit_code, "no user bob" in nobody.output) == (3, True)
    no_vm = await logged_in("home", "log", "alice/desk")
    assert (no_vm.exit_code, "no VM desk" in no_vm.output) == (3, True)
