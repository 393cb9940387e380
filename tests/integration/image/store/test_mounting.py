"""Commits, mounted: the same tree as the source, shared by all who use it, gone with the last."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.host import mounts
from qvdnode.image.core import erofs
from qvdnode.image.core.manifest import ROOT, Kind, Node
from qvdnode.image.store.mount_probe import MountMode
from qvdnode.image.store.mounting import CommitMounts
from qvdnode.image.store.repository import Repository
from qvdnode.image.store.tree_reader import Source, TreeReader
from qvdnode.model.errors import Conflict, HostFailed, Invalid, NotFound
from tests.fixtures_image import STATE, kept_store
from tests.integration.image.store.made import committed, new_store, odd_tree, read, small_tree

pytestmark = pytest.mark.mounts
MODES = [None, MountMode.CHECKOUT]
"""What the kernel can, and what every kernel can."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk, since a kernel may mount no image from a tmpfs."""
    folder = STATE / f"image-{tmp_path.name}-{os.getpid()}"
    folder.mkdir(parents=True)
    yield folder
    for point in mounts.under(folder):
        mounts.unmount(point)
    shutil.rmtree(folder)


@pytest.fixture
def store(place: Path) -> Repository:
    return new_store(place)


def mounts_of(store: Repository, place: Path, mode: MountMode | None = None) -> CommitMounts:
    """Mounts of a store whose guests use nothing; the kernel is probed unless a mode is forced."""
    return CommitMounts(store, place / "image-mounts", set, mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_mounted_commit_equals_its_source(
    store: Repository, place: Path, mode: MountMode | None
) -> None:
    source = odd_tree(place / "odd")
    commit = committed(store, source)
    mounted = mounts_of(store, place, mode)
    with mounted.view(commit) as root:
        seen = read(store, root)
        assert seen.tree == store.tree(commit)
        assert seen.tree == read(store, source).tree
        assert (root / "sparse").stat().st_size == 64 << 20
        assert (root / "set").samefile(root / "many/set-too")
        assert (root / "set").stat().st_nlink >= 2
    assert mounts.under(place) == []


@pytest.mark.timeout(180)
def test_a_real_desktop_comes_back_as_it_was(place: Path, icewm_root: Path) -> None:
    store, commit = kept_store(icewm_root)
    source = TreeReader(store, Source(icewm_root, work=place)).read()
    mounted = mounts_of(store, place)
    with mounted.view(commit) as root:
        tree = TreeReader(store, Source(root, work=place)).read().tree
    assert len(tree) > 5_000
    assert tree == store.tree(commit) == source.tree


@pytest.mark.parametrize("mode", MODES)
def test_a_tree_is_mounted_once_for_all_who_use_it(
    store: Repository, place: Path, mode: MountMode | None
) -> None:
    source = small_tree(place / "one", "one")
    commit, other = committed(store, source), committed(store, source, message="again")
    mounted = mounts_of(store, place, mode)
    first = mounted.keep("first", commit)
    points = len(mounts.under(place))
    assert mounted.keep("second", other) == first
    assert len(mounts.under(place)) == points
    assert mounted.kept() == {"first": commit, "second": other}
    assert mounted.leased() == {commit, other}
    mounted.release("first")
    assert (first / "etc/word").read_text() == "one"
    mounted.release("second")
    assert mounts.under(place) == []
    assert mounted.mounted() == []


@pytest.mark.parametrize("mode", MODES)
def test_versions_share_the_files_that_they_have_in_common(
    store: Repository, place: Path, mode: MountMode | None
) -> None:
    source = small_tree(place / "one", "one")
    one = committed(store, source)
    (source / "etc/word").write_text("two")
    two = committed(store, source)
    mounted = mounts_of(store, place, mode)
    with mounted.view(one) as first, mounted.view(two) as second:
        assert (first / "etc/word").read_text() == "one"
        assert (second / "etc/word").read_text() == "two"
        if mode is MountMode.CHECKOUT:
            assert (first / "etc/big").samefile(second / "etc/big")


def test_a_lease_that_nobody_took_back_outlives_its_process(store: Repository, place: Path) -> None:
    commit = committed(store, small_tree(place / "one", "one"))
    mounts_of(store, place).keep("look", commit)
    later = mounts_of(store, place)
    later.tidy()
    assert later.kept() == {"look": commit}
    assert (later.path(commit) / "etc/word").read_text() == "one"
    later.release("look")
    assert mounts.under(place) == []


def test_a_look_ends_with_the_process_that_took_it(store: Repository, place: Path) -> None:
    commit = committed(store, small_tree(place / "one", "one"))
    mounts_of(store, place).keep("view-999999999-x", commit)
    mounted = mounts_of(store, place)
    with mounted.view(commit):
        mounted.tidy()
        assert len(mounted.kept()) == 1
    assert mounted.kept() == {}
    assert mounts.under(place) == []


def test_names_and_commits_are_checked(store: Repository, place: Path) -> None:
    commit = committed(store, small_tree(place / "one", "one"))
    mounted = mounts_of(store, place)
    mounted.keep("look", commit)
    with pytest.raises(Conflict, match="mounted already"):
        mounted.keep("look", commit)
    for name in ("../x", "", ".x", "a/b"):
        with pytest.raises(Invalid):
            mounted.keep(name, commit)
    with pytest.raises(NotFound):
        mounted.keep("other", "0" * 64)
    assert mounted.kept() == {"look": commit}
    mounted.release("look")
    mounted.release("look")


def test_metadata_that_is_missing_is_made_again(store: Repository, place: Path) -> None:
    commit = committed(store, small_tree(place / "one", "one"))
    shutil.rmtree(store.places.metadata)
    store.places.metadata.mkdir()
    with mounts_of(store, place).view(commit) as root:
        assert (root / "etc/word").read_text() == "one"


def test_a_try_of_a_process_that_was_killed_is_ended(store: Repository, place: Path) -> None:
    mounted = mounts_of(store, place)
    if mounted.capability().mode is MountMode.CHECKOUT:
        return  # this kernel mounts nothing in a try that could stay
    image, meta = store.work_folder() / "image", store.work_folder() / "meta"
    image.write_bytes(erofs.image_of({ROOT: Node(Kind.FOLDER, 0o755)}))
    meta.mkdir()
    mounts.erofs(image, meta)
    mounted.tidy()
    assert mounts.under(place) == []


def test_a_kernel_that_mounts_no_image_is_found_out(
    store: Repository, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(15, "Block device required")

    monkeypatch.setattr(mounts, "erofs", refuse)
    mounted = mounts_of(store, place)
    assert mounted.capability().mode is MountMode.CHECKOUT
    assert list(store.places.tmp.iterdir()) == []
    assert "no EROFS image from a file" in mounted.capability().because
    commit = committed(store, small_tree(place / "one", "one"))
    with mounted.view(commit) as root:
        assert (root / "etc/word").read_text() == "one"
    with pytest.raises(HostFailed, match="version_mounts is erofs"):
        mounts_of(store, place, MountMode.EROFS).capability()
