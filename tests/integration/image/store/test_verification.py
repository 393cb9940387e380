"""Checks of a store: each damage is found and named, down to the paths."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.store.repository import Repository
from qvdnode.image.store.verification import verify
from tests.integration.image.store.made import (
    BIG,
    branches_of,
    committed,
    findings,
    new_store,
    small_tree,
)


def flip(path: Path) -> None:
    """Damage one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def big(store: Repository) -> Path:
    return next(path for path in store.places.objects.glob("*/*") if path.read_bytes() == BIG)


@pytest.fixture
def store(tmp_path: Path) -> Repository:
    """A store with two commits that have an object in common, on a branch."""
    store = new_store(tmp_path)
    one = committed(store, small_tree(tmp_path / "one", "one"))
    two = committed(store, small_tree(tmp_path / "two", "two"), one)
    branches_of(store).advance(Ref("icewm", MAIN), two, who="ana", why="x")
    return store


def test_a_sound_store_has_no_findings(store: Repository) -> None:
    done: list[tuple[int, int]] = []
    found = verify(store, branches_of(store), progress=lambda now, all_: done.append((now, all_)))
    assert found.findings == []
    assert (found.commits, found.objects) == (2, 3)
    assert done[-1] == (found.read_bytes, found.read_bytes)
    assert found.read_bytes > 3 * 256


@pytest.mark.parametrize("damage", [flip, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_object_is_named_with_its_commits_and_paths(
    store: Repository, damage: Callable[[Path], None]
) -> None:
    path = big(store)
    damage(path)
    (found,) = findings(store)
    assert found.what == "object"
    assert found.name == path.parent.name + path.name
    assert list(found.commits) == store.commit_names()
    assert found.paths == ("/etc/big",)


def test_a_quick_check_reads_no_content(store: Repository) -> None:
    flip(big(store))
    assert verify(store, branches_of(store), quick=True).findings == []
    big_one = next(path for path in store.places.objects.glob("*/*"))
    big_one.unlink()
    assert len(verify(store, branches_of(store), quick=True).findings) == 1


def test_damaged_commits_manifests_and_branches_are_named(store: Repository) -> None:
    one, two = store.commit_names()
    flip(store.places.commit(one))
    flip(store.places.manifest(store.commit(two).manifest))
    (store.places.refs / "heads/icewm/odd").write_text("x")
    (store.places.refs / "heads/icewm/lost").write_text("0" * 64 + "\n")
    assert {finding.what for finding in findings(store)} == {"commit", "manifest", "ref"}
    assert len(findings(store)) == 4


def test_metadata_that_is_not_the_manifests_is_named(store: Repository) -> None:
    path = next(store.places.metadata.iterdir())
    flip(path)
    (found,) = findings(store)
    assert (found.what, found.name) == ("metadata", path.name)


def test_a_manifest_of_a_broken_tree_is_found(store: Repository) -> None:
    """Its digest is right, so somebody made it so."""
    text = manifests.HEADER + b"/a p 1 0 0 0 - -\n"
    commit = store.commit(store.commit_names()[0])
    store.places.manifest(commit.manifest).write_bytes(text)
    assert findings(store)[0].what == "manifest"
