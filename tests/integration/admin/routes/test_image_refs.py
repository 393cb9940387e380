"""Branches, tags, commits of desktops and downloads over REST."""

import io
from pathlib import Path

import pytest

from qvdnode.db.image_refs import ImageRefs, RefMove, RefName
from qvdnode.db.images import Images, NewCommit
from qvdnode.db.pool import Database
from qvdnode.image import tar_entries
from qvdnode.image.core import commit as commits
from qvdnode.image.store.repository import Repository
from qvdnode.model.image_commit import CommitRecord
from qvdnode.model.vm_state import VmState
from tests.fakes.fleet import FakeFleet
from tests.fakes.importer import FakeImporter
from tests.fakes.orders import desktop_order
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm
from tests.integration.image.store.made import branches_of, committed, new_store, small_tree


def record(store: Repository, name: str) -> CommitRecord:
    made = store.commit(name)
    return CommitRecord(name, made.parents, commits.encode(made))


@pytest.fixture
async def history(database: Database, importer: FakeImporter, tmp_path: Path) -> list[str]:
    """Two commits of an image, which are its versions 1 and 2; main is at the second."""
    store = new_store(tmp_path)
    importer.versions.store, importer.versions.branches = store, branches_of(store)
    images, names = Images(database), list[str]()
    image = await images.create("office")
    for word in ("one", "two"):
        names.append(committed(store, small_tree(tmp_path / word, word), *names[-1:], message=word))
        move = RefMove(RefName("main"), names[-1], "ana", word, anywhere=True)
        made = NewCommit([record(store, names[-1])], move)
        number = await images.add_version(image.id, size_bytes=1, note=word, made=made)
        await images.set_head(image.id, number)
    return names


async def test_branches_and_tags_are_made_moved_and_deleted(
    api: CheckedApi, history: list[str]
) -> None:
    path = "/images/office/refs"
    made = await api.call("PUT", path, {"name": "test", "revision": "1"}, status=200)
    assert made.body == {"name": "test", "tag": False, "commit": history[0]}
    await api.call("PUT", path, {"name": "good", "tag": True}, status=200)
    await api.call("PUT", path, {"name": "test", "revision": "2"}, status=409)
    await api.call("PUT", path, {"name": "test", "revision": "2", "move": True}, status=200)
    await api.call("PUT", path, {"name": "7", "tag": True}, status=409)
    await api.call("PUT", path, {"name": "other", "revision": "nobody"}, status=404)
    await api.call("PUT", path, {"name": "../x"}, status=422)
    refs = {(item["name"], item["tag"]): item["commit"] for item in (await api.get(path))["items"]}
    assert refs == {("main", False): history[1], ("test", False): history[1],
                    ("good", True): history[1]}  # fmt: skip
    moves = (await api.get(f"{path}/log?name=test"))["items"]
    assert [(move["old"], move["new"]) for move in moves] == [
        (history[0], history[1]),
        (None, history[0]),
    ]
    await api.call("DELETE", f"{path}?name=good&tag=true", status=204)
    await api.call("DELETE", f"{path}?name=good&tag=true", status=404)


async def test_a_rollback_takes_along_what_desktops_start_with(
    api: CheckedApi, history: list[str], database: Database
) -> None:
    back = await api.call("POST", "/images/office/rollback", {}, status=200)
    assert back["head_version"] == 1
    image = await Images(database).by_name("office")
    assert await ImageRefs(database).get(image.id, RefName("main")) == history[0]
    forth = await api.call("POST", "/images/office/rollback", {}, status=200)
    assert forth["head_version"] == 2
    await api.call("PUT", "/images/office/head", {"version": 1}, status=200)
    kept = await api.call("POST", "/images/office/rollback", {"to": "1"}, status=200)
    assert kept["head_version"] == 1  # it was not where the branch was
    await api.call("POST", "/images/office/rollback", {"branch": "nobody"}, status=404)


async def test_the_log_is_the_farms(api: CheckedApi, history: list[str]) -> None:
    items = (await api.get("/images/office/log"))["items"]
    assert [item["commit"] for item in items] == history[::-1]
    assert items[0]["refs"] == ["office", "office:2"]
    found = await api.get("/images/office/diff?old=1&new=2")
    assert (found["old"], found["new"]) == tuple(history)
    assert (await api.get("/images/office/diff"))["old"] == history[0]


async def test_what_a_desktop_has_changed_becomes_a_version(
    api: CheckedApi, history: list[str], farm: SampleFarm, fleet: FakeFleet
) -> None:
    path, body = "/images/office/commits", {"vm_id": farm.vm_id, "branch": "test", "note": "why"}
    await api.call("POST", path, body, status=404)
    fleet.put(desktop_order(farm.vm_id), VmState.RUNNING)
    made = await api.call("POST", path, body, status=200)
    assert (made["version"], made["note"]) == (3, "why")
    refs = {
        item["name"]: item["commit"] for item in (await api.get("/images/office/refs"))["items"]
    }
    assert refs["test"] == made["commit"]
    assert (await api.get("/images/office"))["head_version"] == 2


async def test_a_commit_of_a_folder_leaves_what_starts(api: CheckedApi, history: list[str]) -> None:
    lines = await api.import_image("office", head="false", branch="test")
    assert lines[-1]["version"]["version"] == 3
    assert (await api.get("/images/office"))["head_version"] == 2


async def test_a_version_is_downloaded_as_a_tar(api: CheckedApi, history: list[str]) -> None:
    raw = await api.download("/images/office/content?revision=1")
    names = {entry.name for entry, _ in tar_entries.entries(io.BytesIO(raw))}
    assert {"./etc/word", "./etc/link"} <= names
    await api.get("/images/office/content?revision=nobody", 404)
