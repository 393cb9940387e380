"""Plain folders of earlier nodes become commits."""

import shutil
from pathlib import Path

import pytest

from qvdnode.host import mounts
from qvdnode.host.linux_calls import MOUNT_ATTR_RDONLY
from qvdnode.image.conversion import FolderConversion
from qvdnode.image.settings import ImageSettings
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import NodeFull
from qvdnode.model.ids import ImageId
from tests.integration.image.store.made import findings, small_tree

IMAGE = ImageId(4)


def plain(settings: ImageSettings, version: int) -> Path:
    """A version as nodes without a store have it."""
    root = settings.state_dir / "images" / str(IMAGE) / str(version) / "rootfs"
    return small_tree(root, f"word {version}")


async def test_each_version_becomes_a_commit_after_the_one_before(
    settings: ImageSettings,
) -> None:
    for version in (2, 1, 10):
        plain(settings, version)
    versions = ImageVersions(settings)
    conversion = FolderConversion(settings, versions)
    assert conversion.waiting() == [(IMAGE, 1), (IMAGE, 2), (IMAGE, 10)]
    names = [await conversion.convert(*one, "icewm") for one in conversion.waiting()]
    assert [versions.store.commit(name).parents for name in names] == [
        (),
        (names[0],),
        (names[1],),
    ]
    assert versions.branches.resolve("icewm") == names[2]
    assert versions.branches.resolve("icewm:2") == names[1]
    assert conversion.waiting() == []
    assert not list((settings.state_dir / "images").glob("*/*/rootfs"))
    assert findings(versions.store) == []
    with versions.view(IMAGE, 10) as root:
        assert root is not None
        assert (root / "etc/word").read_text() == "word 10"


async def test_a_folder_that_a_desktop_runs_on_stays_until_its_end(
    settings: ImageSettings,
) -> None:
    root = plain(settings, 1)
    lower = settings.state_dir / "vms/7/1/lower"
    lower.mkdir(parents=True)
    mounts.bind(root, lower, MOUNT_ATTR_RDONLY)
    versions = ImageVersions(settings)
    conversion = FolderConversion(settings, versions)
    await conversion.convert(IMAGE, 1, "icewm")
    assert (root / "etc/word").exists()
    assert versions.commit_of(IMAGE, 1) is not None
    mounts.unmount(lower)
    await conversion.remove_unused()
    assert not root.exists()


async def test_a_full_disk_leaves_the_folder(settings: ImageSettings) -> None:
    root = plain(settings, 1)
    full = ImageSettings(settings.state_dir, free_floor_mib=1 << 40)
    conversion = FolderConversion(full, ImageVersions(full))
    with pytest.raises(NodeFull):
        await conversion.convert(IMAGE, 1, "icewm")
    assert (root / "etc/word").exists()
    assert conversion.waiting() == [(IMAGE, 1)]
    shutil.rmtree(root)
