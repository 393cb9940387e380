"""Snapshots of a home, and files brought back, for administrators and for the user."""

import os
from pathlib import Path

import pytest

from qvdnode.db.pool import Database
from qvdnode.image.homes import HOME_UID
from tests.integration.admin.browser import browser
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import PASSWORD, SampleFarm

pytestmark = [pytest.mark.postgres, pytest.mark.mounts]


@pytest.fixture
def home(farm: SampleFarm, tmp_path: Path) -> Path:
    """The home of the sample farm's user, with one file."""
    folder = tmp_path / "homes" / str(farm.user_id) / "home"
    folder.mkdir(parents=True)
    (folder / "notes").write_text("old")
    for path in (folder, folder / "notes"):
        os.chown(path, HOME_UID, HOME_UID)
    return folder


async def test_an_administrator_brings_a_file_back(
    api: CheckedApi, farm: SampleFarm, home: Path
) -> None:
    path = f"/users/{farm.user_id}/home"
    assert (await api.get(f"{path}/snapshots"))["items"] == []
    made = (await api.post(f"{path}/snapshots")).body
    assert made == {"files": 2, "read_bytes": 3, "left_out": []}
    (home / "notes").write_text("new")
    [one] = (found := await api.get(f"{path}/snapshots?path=notes"))["items"]
    assert (one["files"], one["size_bytes"], found["working"]) == (1, 3, "")
    assert found["disk_bytes"] > 0
    folder = (await api.post(f"{path}/restore", {"path": "notes"}))["folder"]
    assert folder == f"restored-{one['name']}"
    assert (home / folder / "notes").read_text() == "old"
    assert (home / "notes").read_text() == "new"
    [audited] = [
        item for item in (await api.get("/audit"))["items"] if item["action"] == "home.restore"
    ]
    assert audited["detail"]["folder"] == folder


@pytest.mark.parametrize(
    ("body", "status"),
    [({"at": "soon"}, 422), ({"at": "2001-01-01"}, 404), ({"path": "a/b"}, 404), ({"x": 1}, 422)],
)
async def test_what_cannot_be_brought_back_is_told(
    api: CheckedApi, farm: SampleFarm, home: Path, body: dict[str, object], status: int
) -> None:
    path = f"/users/{farm.user_id}/home"
    await api.post(f"{path}/snapshots")
    await api.post(f"{path}/restore", body, status=status)
    assert sorted(inner.name for inner in home.iterdir()) == ["notes"]


async def test_a_user_without_a_home_has_no_snapshots(api: CheckedApi, farm: SampleFarm) -> None:
    path = f"/users/{farm.user_id}/home"
    await api.post(f"{path}/snapshots", status=404)
    await api.post(f"{path}/restore", {}, status=404)
    await api.get("/users/99/home/snapshots", status=404)


async def test_a_home_on_another_node_is_named(
    api: CheckedApi, farm: SampleFarm, database: Database
) -> None:
    node = await database.fetchval(
        "INSERT INTO node (id, name, address, boot_id, epoch, state, lease_until)"
        " VALUES (7, 'far', '192.0.2.7', 'x', 1, 'left', now()) RETURNING id"
    )
    await database.execute("UPDATE app_user SET home_node = $1", node)
    told = await api.get(f"/users/{farm.user_id}/home/snapshots", status=409)
    assert "on node far" in told["detail"]


async def test_a_user_brings_own_files_back(api: CheckedApi, farm: SampleFarm, home: Path) -> None:
    await api.post(f"/users/{farm.user_id}/home/snapshots")
    alice = browser(api)
    await alice.call("GET", "/my/home/snapshots", status=401)
    await alice.call("POST", "/my/session", {"login": "alice", "password": PASSWORD}, status=200)
    [one] = (await alice.call("GET", "/my/home/snapshots", status=200))["items"]
    told = await alice.call("POST", "/my/home/restore", {"path": "notes"}, status=201)
    assert told["folder"] == f"restored-{one['name']}"
    assert (home / told["folder"] / "notes").stat().st_uid == HOME_UID
