"""The history of images over REST: from a store that the test makes."""

from pathlib import Path

import pytest

from qvdnode.image.core.refs import MAIN, Ref
from tests.fakes.importer import FakeImporter
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.image.store.made import branches_of, committed, new_store, small_tree

STATUS = "Package: bash\nStatus: install ok installed\nVersion: {}\n\n"


@pytest.fixture
def history(importer: FakeImporter, tmp_path: Path) -> list[str]:
    """Two commits of an image, which are its versions 1 and 2."""
    store = new_store(tmp_path)
    branches = branches_of(store)
    root = small_tree(tmp_path / "root", "one")
    status = root / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    names: list[str] = []
    for number in (1, 2):
        status.write_text(STATUS.format(number))
        (root / f"etc/new{number}").write_text("x")
        names.append(committed(store, root, *names[-1:], message=f"version {number}"))
        branches.advance(Ref("icewm", MAIN), names[-1], who="test", why="test")
        tag = Ref("icewm", str(number), tag=True)
        branches.move(tag, old=None, new=names[-1], who="test", why="test")
    importer.versions.store, importer.versions.branches = store, branches
    return names


async def test_commits_are_listed_newest_first(api: CheckedApi, history: list[str]) -> None:
    items = (await api.get("/images/icewm/log"))["items"]
    assert [item["commit"] for item in items] == history[::-1]
    assert items[0]["refs"] == ["icewm", "icewm:2"]
    assert items[0]["parents"] == [history[0]]
    assert items[0]["message"] == "version 2"
    (one,) = (await api.get("/images/icewm/log?revision=1"))["items"]
    assert one["commit"] == history[0]
    assert len((await api.get("/images/icewm/log?limit=1"))["items"]) == 1


async def test_versions_are_compared(api: CheckedApi, history: list[str]) -> None:
    found = await api.get("/images/icewm/diff")
    assert (found["old"], found["new"]) == tuple(history)
    assert found["packages"] == [{"package": "bash", "old": "1", "new": "2"}]
    assert (found["added"], found["deleted"]) == (1, 0)
    assert {path["path"]: path["change"] for path in found["paths"]} == {
        "/etc": "M", "/etc/new2": "A", "/var/lib/dpkg/status": "M",
    }  # fmt: skip
    back = await api.get("/images/icewm/diff?old=2&new=1&limit=1")
    assert (back["deleted"], len(back["paths"])) == (1, 1)
    first = await api.get(f"/images/icewm/diff?new={history[0][:10]}")
    assert first["old"] is None


async def test_what_is_not_there_is_told(api: CheckedApi, history: list[str]) -> None:
    await api.get("/images/icewm/log?revision=9", 404)
    await api.get("/images/other/log", 404)
    refused = await api.get("/images/icewm/diff?old=a%20b", 422)
    assert "not a revision" in refused["detail"]


async def test_the_store_of_a_node_is_shown(api: CheckedApi, history: list[str]) -> None:
    found = await api.get("/node/images")
    assert (found["commits"], found["mounts"]) == (2, "checkout")
    assert found["content_bytes"] > 0
    assert found["reason"] == "image.version_mounts says so"


async def test_a_node_without_images_says_so(api: CheckedApi) -> None:
    refused = await api.get("/images/icewm/log", 404)
    assert "import one" in refused["detail"]
    assert (await api.get("/node/images"))["commits"] == 0
