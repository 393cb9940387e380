"""Revisions become versions that desktops start from."""

import io
import shutil
import tarfile
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from qvdnode.admin.farm_images import FarmImages
from qvdnode.db.image_refs import ImageRefs, RefMove, RefName
from qvdnode.db.images import Images
from qvdnode.db.pool import Database
from qvdnode.host import mounts
from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.settings import ImageSettings
from qvdnode.image.store.repository import About
from qvdnode.image.store.tree_reader import Source, TreeReader
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import BadImage, Conflict, NotFound
from qvdnode.model.farm import Image
from tests.fakes.image_supply import FakeImageSupply
from tests.fixtures_image import STATE
from tests.integration.image.tiny_root import complete, tar

pytestmark = pytest.mark.postgres

FOLDERS = ("dev", "home", "proc", "run", "sys", "tmp")


@dataclass
class World:
    """A node of a farm with the image icewm."""

    farm: FarmImages
    versions: ImageVersions
    refs: ImageRefs
    images: Images
    image: Image
    folder: Path

    def commit(self, word: str, *parents: str, complete_root: bool = True) -> str:
        """A commit in the node's own store, which its branch main is at."""
        root = self.folder / word
        with tarfile.open(fileobj=io.BytesIO(tar(complete()))) as archive:
            archive.extractall(root)
        for name in FOLDERS if complete_root else ():
            (root / name).mkdir()
        (root / "word").write_text(word)
        store = self.versions.store
        content = TreeReader(store, Source(root, work=store.work_folder())).read()
        name = store.publish(content, About("ana", 5, word, "test", parents))
        self.versions.branches.advance(Ref("icewm", MAIN), name, who="ana", why=word)
        return name


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    folder = STATE / f"farm-images-{uuid.uuid4().hex[:8]}"
    for name in ("images", "vms", "homes"):
        (folder / name).mkdir(parents=True)
    versions = ImageVersions(ImageSettings(folder, free_floor_mib=64))
    versions.store.prepare()
    images, refs = Images(database), ImageRefs(database)
    image = await images.create("icewm")
    yield World(
        FarmImages(images, refs, versions, FakeImageSupply()), versions, refs, images, image, folder
    )
    for point in mounts.under(folder):
        mounts.unmount(point)
    shutil.rmtree(folder)


async def test_a_commit_of_this_node_becomes_a_version_once(world: World) -> None:
    first = world.commit("one")
    second = world.commit("two", first)
    assert await world.farm.resolve(world.image, "icewm") == second
    made = await world.farm.version_of(world.image, second)
    assert (made.version, made.commit_name, made.note) == (1, second, "two")
    assert await world.farm.version_of(world.image, second) == made
    assert world.versions.has(world.image.id, 1)
    assert world.versions.branches.resolve("icewm:1") == second
    # The farm knows the commits before it, too, wherever it is asked.
    log = await world.farm.log(world.image, "1", 10)
    assert [line.name for line in log] == [second, first]
    assert log[0].names == ["icewm:1"]
    assert await world.farm.resolve(world.image, "1~") == first


async def test_a_commit_that_no_desktop_can_start_from_is_refused(world: World) -> None:
    name = world.commit("one", complete_root=False)
    with pytest.raises(BadImage, match="/dev is missing"):
        await world.farm.version_of(world.image, name)
    assert await world.images.versions(world.image.id) == ()
    with pytest.raises(NotFound):
        await world.farm.version_of(world.image, "0" * 64)
    with pytest.raises(NotFound, match="knows no version"):
        await world.farm.resolve(world.image, "nobody")


async def test_branches_of_the_farm_move_by_compare_and_swap(world: World) -> None:
    first = world.commit("one")
    second = world.commit("two", first)
    test = RefName("test")
    await world.farm.move(world.image, RefMove(test, first, "ana", "made"))
    await world.farm.move(world.image, RefMove(test, second, "ana", "on", old=first))
    with pytest.raises(Conflict):
        await world.farm.move(world.image, RefMove(test, first, "eva", "late", old=first))
    assert await world.farm.resolve(world.image, "test@{1}") == first
    assert [move.why for move in await world.farm.moves(world.image, test)] == ["on", "made"]
