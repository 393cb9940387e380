"""What a node has of images follows what the farm says."""

import asyncio
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.daemon.image_upkeep import EVERY_S, ImageUpkeep
from qvdnode.db.image_refs import ImageRefs, RefName
from qvdnode.db.images import Images
from qvdnode.db.pool import Database
from qvdnode.image.conversion import FolderConversion
from qvdnode.image.importer import Importer
from qvdnode.image.layout import Layout
from qvdnode.image.settings import ImageSettings
from qvdnode.runtime.supervise import Supervisor
from tests.fakes.clock import ManualClock
from tests.fixtures_image import STATE
from tests.integration.image.store.made import small_tree
from tests.waiting import until

pytestmark = pytest.mark.postgres


@pytest.fixture
def state_dir() -> Iterator[Path]:
    folder = STATE / f"upkeep-{uuid.uuid4().hex[:8]}"
    for name in ("images", "homes", "vms"):
        (folder / name).mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


async def test_folders_become_commits_that_are_told_and_go_with_their_image(
    database: Database, state_dir: Path
) -> None:
    images, refs, clock = Images(database), ImageRefs(database), ManualClock()
    image = await images.create("icewm")
    settings = ImageSettings(state_dir, free_floor_mib=64)
    for version in (1, 2):
        assert await images.add_version(image.id, size_bytes=1) == version
        small_tree(state_dir / f"images/{image.id}/{version}/rootfs", f"{version}")
    importer = Importer(settings)
    conversion = FolderConversion(settings, importer.versions)
    layout = Layout(state_dir)
    upkeep = ImageUpkeep(images, refs, importer, conversion, layout, clock)
    async with Supervisor("test") as tasks:
        _ = tasks.essential("upkeep", upkeep.run())
        await until(lambda: clock.sleepers)
        told = [item.commit_name for item in await images.versions(image.id)]
        branches = importer.versions.branches
        assert told == [branches.resolve("icewm:1"), branches.resolve("icewm:2")]
        assert await refs.get(image.id, RefName("main")) == told[1]
        assert (await refs.commits(image.id))[str(told[1])].parents == (told[0],)
        await images.delete(image.id)
        clock.advance(EVERY_S)
        await until(lambda: not (state_dir / f"images/{image.id}").exists())
        await until(lambda: clock.sleepers)
    assert branches.all() == {}
    found = await asyncio.to_thread(importer.versions.collect, grace_s=0)
    assert found.kept_objects == 0
