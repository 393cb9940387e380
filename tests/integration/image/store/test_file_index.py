"""The second commit of a folder reads only what changed, and never misses a change."""

import os
from pathlib import Path

import pytest

from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.folder_commit import FolderCommit
from tests.integration.image.store.made import BIG, findings, new_store, small_tree

HEAD = Ref("icewm", MAIN)
LATER = 4_000_000_000
"""A time after all of a test's files, so that none of them counts as changed just now."""


class Folder:
    """A folder that is committed again and again."""

    def __init__(self, place: Path) -> None:
        self.store = new_store(place)
        self.root = small_tree(place / "root", "one")
        self.now = LATER
        self.read = 0

    def commit(self) -> str:
        """The manifest of a commit; `read` is how many bytes it read."""
        self.read = 0
        branches = Branches(self.store, lambda: self.now)

        def progress(done: int) -> None:
            self.read = done

        made = FolderCommit(self.store, branches, 0).commit(self.root, HEAD, "", "ana", progress)
        return self.store.commit(made).manifest


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_what_is_as_it_was_is_not_read(folder: Folder) -> None:
    first = folder.commit()
    assert folder.read == len(BIG) + len(BIG) + 3
    assert folder.commit() == first
    assert folder.read == 0
    (folder.root / "etc/own").write_bytes(BIG + b"new")
    assert folder.commit() != first
    assert folder.read == len(BIG) + 3
    assert findings(folder.store) == []


def test_a_write_shows_whatever_the_file_pretends(folder: Folder) -> None:
    first = folder.commit()
    path = folder.root / "etc/own"
    facts = path.stat()
    path.write_bytes(BIG + b"two")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert folder.commit() != first


def test_what_changed_just_before_is_read_again(folder: Folder) -> None:
    folder.now = int((folder.root / "etc/own").stat().st_ctime)
    folder.commit()
    folder.commit()
    assert folder.read == len(BIG) + len(BIG) + 3


def test_content_that_the_store_lost_is_read_again(folder: Folder) -> None:
    first = folder.commit()
    for path in folder.store.places.objects.glob("*/*"):
        path.unlink()
    assert folder.commit() == first
    assert findings(folder.store) == []


@pytest.mark.parametrize("damage", [b"", b"x", bytes.fromhex("789cab562acd2bc9cc510200")])
def test_a_damaged_index_is_as_good_as_none(folder: Folder, damage: bytes) -> None:
    first = folder.commit()
    (index,) = folder.store.places.indexes.iterdir()
    index.chmod(0o600)
    index.write_bytes(damage)
    assert folder.commit() == first
    assert folder.read > 0
