"""Versions of images: commits with a branch and tags, plain folders, and leases of guests."""

from pathlib import Path

import pytest

from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.importer import Importer
from qvdnode.image.layout import Layout
from qvdnode.image.settings import ImageSettings, VersionMounts
from qvdnode.image.store.mount_probe import MountMode
from qvdnode.image.versions import COMMIT, ImageVersions, Lease
from qvdnode.model.errors import BadImage, HostFailed
from qvdnode.model.ids import Generation, ImageId, VmId
from tests.integration.image.tiny_root import Piece, complete, stream, tar

IMAGE = ImageId(3)
HEAD = Ref("icewm", MAIN)


async def imported(settings: ImageSettings, version: int, word: bytes) -> None:
    importer = Importer(settings)
    content = tar(complete(Piece("./srv/word", word)))
    made = await importer.import_tar(stream(content), "icewm", note=f"note {version}")
    await importer.place(made, IMAGE, version)


async def test_each_import_is_a_commit_after_the_last(settings: ImageSettings) -> None:
    for version, word in ((1, b"one"), (2, b"two")):
        await imported(settings, version, word)
    versions = ImageVersions(settings)
    head = versions.branches.get(HEAD)
    assert head is not None
    assert versions.branches.resolve("icewm:2") == head
    commit = versions.store.commit(head)
    assert commit.parents == (versions.branches.resolve("icewm:1"),)
    assert (commit.message, commit.author, commit.source) == ("note 2", "import", "tar")
    assert [move.why for move in versions.branches.moves(HEAD)] == ["version 2", "version 1"]
    assert versions.pinned() == versions.roots() == set(versions.store.commit_names())


async def test_a_number_that_is_given_again_is_the_new_commit(settings: ImageSettings) -> None:
    """As after a database was restored from before the first of them."""
    await imported(settings, 1, b"one")
    folder = settings.state_dir / "images/3/1"
    (folder / COMMIT).unlink()
    folder.rmdir()
    await imported(settings, 1, b"two")
    branches = ImageVersions(settings).branches
    assert branches.resolve("icewm:1") == branches.get(HEAD)


async def test_an_import_whose_branch_cannot_move_leaves_nothing(settings: ImageSettings) -> None:
    await imported(settings, 1, b"one")
    versions = ImageVersions(settings)
    (versions.store.places.refs / HEAD.path).unlink()
    (versions.store.places.refs / HEAD.path).mkdir()
    importer = Importer(settings)
    (versions.store.places.refs / HEAD.path).rmdir()
    made = await importer.import_tar(stream(tar(complete())), "icewm")
    (versions.store.places.refs / HEAD.path).mkdir()
    with pytest.raises(HostFailed, match="heads/icewm/main"):
        await importer.place(made, IMAGE, 2)
    await importer.discard(made)
    images = settings.state_dir / "images"
    assert sorted(path.name for path in images.iterdir()) == ["3", "store"]
    assert [path.name for path in (images / "3").iterdir()] == ["1"]


async def test_a_guests_lease_keeps_its_commit(settings: ImageSettings) -> None:
    await imported(settings, 1, b"one")
    versions = ImageVersions(settings)
    folders = Layout(settings.state_dir).guest(VmId(7), Generation(2))
    folders.folder.mkdir(parents=True)
    lower = versions.acquire(folders, IMAGE, 1)
    head = versions.branches.get(HEAD)
    assert versions.leases() == {folders.folder: Lease(3, 1, head)}
    assert versions.runs_on(IMAGE)
    assert lower.folder.is_dir()
    await Importer(settings).remove(IMAGE)
    assert versions.branches.all() == {}
    assert versions.collect(grace_s=0).commits == 0
    folders.lease.unlink()
    assert not versions.runs_on(IMAGE)
    assert versions.collect(grace_s=0).commits == 1
    versions.mounts.tidy()


async def test_checkouts_serve_where_the_kernel_mounts_no_images(settings: ImageSettings) -> None:
    await imported(settings, 1, b"one")
    forced = ImageSettings(state_dir=settings.state_dir, version_mounts=VersionMounts.CHECKOUT)
    versions = ImageVersions(forced)
    assert versions.mounts.capability().mode is MountMode.CHECKOUT
    with versions.view(IMAGE, 1) as root:
        assert root is not None
        assert (root / "srv/word").read_bytes() == b"one"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"commit": "x", "image": "y"}'])
async def test_a_damaged_version_is_told(settings: ImageSettings, content: bytes) -> None:
    await imported(settings, 1, b"one")
    path = settings.state_dir / "images/3/1" / COMMIT
    path.write_bytes(content)
    versions = ImageVersions(settings)
    with pytest.raises(HostFailed, match="is damaged"), versions.view(IMAGE, 1):
        pass
    with pytest.raises(HostFailed, match="is damaged"):
        versions.collect()


def test_a_version_that_is_not_here_is_told(settings: ImageSettings) -> None:
    versions = ImageVersions(settings)
    folders = Layout(settings.state_dir).guest(VmId(7), Generation(2))
    with pytest.raises(BadImage, match=r"copy .*images from a node that has it"):
        versions.acquire(folders, IMAGE, 1)
    with versions.view(IMAGE, 1) as root:
        assert root is None
    assert not Path(settings.state_dir / "images/store").exists()
