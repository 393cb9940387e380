"""Commits: what is in one, and that a fault at any step leaves a valid store."""

import shutil
import threading
from pathlib import Path

import pytest

from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.store.collection import Plan, collect
from qvdnode.image.store.files import HostFiles
from qvdnode.image.store.repository import About, Content, Repository
from qvdnode.image.store.tree_reader import Source, TreeReader
from qvdnode.model.errors import BadImage, Conflict, HostFailed, NotFound
from tests.fakes.faulty_files import Crash, FaultyFiles
from tests.integration.image.store.made import (
    BIG,
    NOW,
    branches_of,
    committed,
    findings,
    new_store,
    odd_tree,
    read,
    small_tree,
)

HEAD = Ref("icewm", MAIN)


def test_only_root_enters_the_folders_that_are_made(tmp_path: Path) -> None:
    HostFiles().make_folder(tmp_path / "mounts" / "leases")
    made = (tmp_path / "mounts", tmp_path / "mounts" / "leases")
    assert [folder.stat().st_mode & 0o777 for folder in made] == [0o700, 0o700]


def test_a_commit_has_the_tree_and_its_history(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    root = odd_tree(tmp_path / "odd")
    first = committed(store, root, message="odd")
    tree = store.tree(first)
    assert tree == read(store, root).tree
    second = committed(store, root, first)
    assert store.commit(second).parents == (first,)
    assert store.commit(second).manifest == store.commit(first).manifest
    assert store.commit(first).message == "odd"
    assert findings(store) == []
    digest = next(node.payload.decode() for node in tree.values() if node.size == len(BIG))
    kept = store.places.object(digest).stat()
    assert (kept.st_mode & 0o7777, kept.st_uid, kept.st_nlink) == (0o400, 0, 1)


def test_equal_content_is_kept_once_and_holes_stay(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    committed(store, odd_tree(tmp_path / "odd"))
    objects = list(store.places.objects.glob("*/*"))
    assert sum(path.stat().st_blocks for path in objects) * 512 < 4 << 20
    assert sum(path.read_bytes() == BIG for path in objects if path.stat().st_size == 256) == 1


@pytest.fixture
def before(tmp_path: Path) -> tuple[Path, str]:
    """A folder with a store of one commit, which the branch main is at."""
    store = new_store(tmp_path / "before")
    first = committed(store, small_tree(tmp_path / "one", "one"))
    branches_of(store).advance(HEAD, first, who="test", why="first")
    small_tree(tmp_path / "two", "two")
    return tmp_path / "before", first


def second_commit(folder: Path, root: Path, files: FaultyFiles, *, moves: bool) -> str:
    """Commit a folder on the branch, by copying or by moving its files into the store."""
    store = Repository(folder / "store", files)
    branches = branches_of(store)
    old = branches.get(HEAD)
    assert old is not None
    if moves:
        content = TreeReader(store, Source(root, move=True)).read()
        files.unsynced |= set(content.fresh.values())
    else:
        content = read(store, root)
    return store.publish(
        content,
        About("ana", NOW + 1, "second", "test", (old,)),
        lambda name: branches.move(HEAD, old=old, new=name, who="ana", why="second"),
    )


def attempt(
    tmp_path: Path, before: tuple[Path, str], files: FaultyFiles, *, moves: bool
) -> BaseException | None:
    """The second commit in a copy of the store, with a fault; how it ended."""
    for name in ("now", "root"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    shutil.copytree(before[0], tmp_path / "now")
    shutil.copytree(tmp_path / "two", tmp_path / "root", symlinks=True)
    try:
        second_commit(tmp_path / "now", tmp_path / "root", files, moves=moves)
    except (Crash, HostFailed, OSError) as error:
        return error
    return None


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("fault", ["disk full", "power loss: content", "power loss: names"])
def test_a_fault_at_any_step_leaves_a_valid_store(
    tmp_path: Path, before: tuple[Path, str], fault: str, *, moves: bool
) -> None:
    first = before[1]
    step = 0
    while True:
        files = FaultyFiles(fails_at=step, crashes=fault != "disk full")
        ended = attempt(tmp_path, before, files, moves=moves)
        if fault == "power loss: content":
            files.lose_content()
        elif fault == "power loss: names":
            files.lose_names()
        store = Repository(tmp_path / "now/store")
        branches = branches_of(store)
        head = branches.get(HEAD)
        assert head is not None, step
        assert findings(store) == [], step
        assert store.tree(first)
        assert store.commit(head).message == ("" if head == first else "second"), step
        assert branches.moves(HEAD)[0].new == head, step
        if ended is None and files.steps <= step:
            break
        # The same commit works now, and what the fault left is collected.
        shutil.rmtree(tmp_path / "root")
        shutil.copytree(tmp_path / "two", tmp_path / "root", symlinks=True)
        second_commit(tmp_path / "now", tmp_path / "root", FaultyFiles(), moves=moves)
        roots = set(branches.all().values())
        collect(store, Plan(roots.copy, NOW + 10**6, grace_s=0))
        assert findings(store) == [], step
        assert len(store.commit_names()) == (2 if head == first else 3), step
        step += 1
    assert step > 12


def test_what_is_damaged_is_told_by_name(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    name = committed(store, small_tree(tmp_path / "one", "one"))
    manifest = store.commit(name).manifest
    with pytest.raises(NotFound):
        store.commit("0" * 64)
    for path, damage, wanted in (
        (store.places.manifest(manifest), b"no zlib", manifest),
        (store.places.commit(name), b"{}", name),
    ):
        path.chmod(0o600)
        path.write_bytes(damage)
        with pytest.raises(BadImage, match=wanted):
            store.tree(name)
        with pytest.raises(BadImage, match="damaged"):
            store.manifest(manifest)


def test_a_manifest_under_the_name_of_another_is_refused(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    names = [committed(store, small_tree(tmp_path / word, word)) for word in ("one", "two")]
    one, two = (store.places.manifest(store.commit(name).manifest) for name in names)
    one.write_bytes(two.read_bytes())
    with pytest.raises(BadImage, match="another digest"):
        store.tree(names[0])


def test_a_commit_of_objects_that_are_nowhere_is_refused(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    content = read(store, small_tree(tmp_path / "one", "one"))
    with pytest.raises(BadImage, match="is missing"):
        store.publish(Content(content.tree), About("ana", NOW))
    assert store.commit_names() == []


def test_a_truncated_object_is_replaced_by_the_next_commit_of_it(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    root = small_tree(tmp_path / "one", "one")
    committed(store, root)
    damaged = next(path for path in store.places.objects.glob("*/*"))
    damaged.write_bytes(b"")
    assert [finding.what for finding in findings(store)] == ["object"]
    committed(store, root)
    assert findings(store) == []


def test_of_two_commits_at_once_one_moves_the_branch(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    first = committed(store, small_tree(tmp_path / "base", "base"))
    branches = branches_of(store)
    branches.advance(HEAD, first, who="test", why="first")
    start = threading.Barrier(4)
    ended: list[str] = []

    def commit(number: int) -> None:
        content = read(store, small_tree(tmp_path / f"tree{number}", f"word {number}"))
        start.wait(10)
        try:
            store.publish(
                content,
                About(f"{number}", NOW, parents=(first,)),
                lambda name: branches.move(HEAD, old=first, new=name, who="test", why="race"),
            )
        except Conflict:
            ended.append("conflict")
        else:
            ended.append("done")

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    assert sorted(ended) == ["conflict"] * 3 + ["done"]
    assert findings(store) == []
    assert len(branches.moves(HEAD)) == 2
