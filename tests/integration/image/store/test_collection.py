"""Collections: what nothing needs goes, by way of quarantine, and nothing else."""

import threading
from pathlib import Path

import pytest

from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.store.collection import STALE_S, Plan, collect
from qvdnode.image.store.repository import About, Repository
from qvdnode.model.errors import BadImage
from tests.integration.image.store.made import (
    BIG,
    NOW,
    branches_of,
    committed,
    findings,
    new_store,
    read,
    small_tree,
)


@pytest.fixture
def store(tmp_path: Path) -> Repository:
    return new_store(tmp_path)


def objects(store: Repository) -> set[bytes]:
    return {path.read_bytes() for path in store.places.objects.glob("*/*")}


def plan(*roots: str, now: int = NOW, dry_run: bool = False) -> Plan:
    return Plan(set(roots).copy, now, grace_s=100, dry_run=dry_run)


def test_what_no_root_needs_goes_after_its_time(store: Repository, tmp_path: Path) -> None:
    one = committed(store, small_tree(tmp_path / "one", "one"))
    two = committed(store, small_tree(tmp_path / "two", "two"))
    tried = collect(store, plan(two, dry_run=True))
    assert (tried.commits, tried.objects, tried.kept_commits, tried.kept_objects) == (1, 1, 1, 2)
    assert tried.object_bytes > 0
    assert store.commit_names() == sorted([one, two])
    done = collect(store, plan(two))
    assert (done.commits, done.objects, done.deleted) == (1, 1, 0)
    assert objects(store) == {BIG, BIG + b"two"}
    assert len(list(store.places.quarantine.iterdir())) == 1
    waiting = collect(store, plan(two, now=NOW + 99))
    assert (waiting.deleted, waiting.waiting) == (0, 1)
    assert collect(store, plan(two, now=NOW + 100)).deleted == 1
    assert store.commit_names() == [two]
    assert [path.name for path in store.places.metadata.iterdir()] == [store.commit(two).manifest]
    assert findings(store) == []


def test_what_a_root_comes_from_stays(store: Repository, tmp_path: Path) -> None:
    one = committed(store, small_tree(tmp_path / "one", "one"))
    two = committed(store, small_tree(tmp_path / "two", "two"), one)
    assert collect(store, plan(two)).objects == 0
    assert store.tree(one)


def test_a_commit_takes_back_from_quarantine(store: Repository, tmp_path: Path) -> None:
    root = small_tree(tmp_path / "one", "one")
    content = read(store, root)
    committed(store, root)
    collect(store, plan())
    assert objects(store) == set()
    again = store.publish(type(content)(content.tree), About("ana", NOW + 1))
    assert objects(store) == {BIG, BIG + b"one"}
    assert collect(store, plan(again, now=NOW + 1000)).deleted == 0
    assert findings(store) == []


def test_half_written_files_go_when_they_are_old(store: Repository, tmp_path: Path) -> None:
    (store.work_folder() / "half").write_bytes(b"x")
    (store.places.tmp / "draft").write_bytes(b"x")
    (tmp_path / "outside").write_bytes(b"x")
    written = int(max(path.stat().st_mtime for path in store.places.tmp.iterdir()))
    collect(store, plan(now=written + STALE_S - 10))
    assert len(list(store.places.tmp.iterdir())) == 2
    collect(store, plan(now=written + STALE_S + 1))
    assert list(store.places.tmp.iterdir()) == []


def test_nothing_is_removed_while_it_is_not_known_what_is_needed(
    store: Repository, tmp_path: Path
) -> None:
    one = committed(store, small_tree(tmp_path / "one", "one"))
    two = committed(store, small_tree(tmp_path / "two", "two"))
    store.places.manifest(store.commit(one).manifest).write_bytes(b"x")
    with pytest.raises(BadImage, match="nothing is removed"):
        collect(store, plan(one))
    assert len(objects(store)) == 3
    assert store.tree(two)


def test_no_store_is_nothing_to_collect(tmp_path: Path) -> None:
    assert collect(Repository(tmp_path / "none"), plan()).objects == 0
    assert not (tmp_path / "none").exists()


def test_commits_and_collections_at_once_lose_nothing(store: Repository, tmp_path: Path) -> None:
    """Trees come and go, so that objects are in quarantine when they are needed again."""
    branches = branches_of(store)
    head = Ref("icewm", MAIN)
    trees = [small_tree(tmp_path / word, word) for word in ("one", "two")]
    ended = threading.Event()
    problems: list[BaseException] = []

    def collecting() -> None:
        try:
            while not ended.is_set():
                collect(store, Plan(lambda: set(branches.all().values()), NOW, grace_s=10**6))
        except BaseException as error:
            problems.append(error)
            raise

    thread = threading.Thread(target=collecting)
    thread.start()
    try:
        for number in range(40):
            content = read(store, trees[number % 2])
            made = store.publish(
                content,
                About("ana", NOW + number),
                lambda name: branches.advance(head, name, who="ana", why="x"),
            )
            assert branches.get(head) == made
            assert store.tree(made) == content.tree
    finally:
        ended.set()
        thread.join(20)
    assert problems == []
    assert findings(store) == []
