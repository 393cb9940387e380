"""A node frees the space of what was removed, some time after, by itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from qvdnode.image.importer import Importer
from qvdnode.image.settings import ImageSettings
from qvdnode.image.store.collection import GRACE_S
from qvdnode.image.versions import ImageVersions
from qvdnode.model.ids import ImageId
from tests.fakes.clock import ManualClock
from tests.integration.image.tiny_root import complete, stream, tar
from tests.waiting import until

IMAGE = ImageId(3)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def importer(settings: ImageSettings, clock: ManualClock) -> AsyncIterator[Importer]:
    """An importer whose collector runs."""
    made = Importer(settings, clock=clock)
    task = asyncio.get_running_loop().create_task(made.collector.run())
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_the_space_of_a_removed_image_is_freed_after_its_time(
    settings: ImageSettings, clock: ManualClock, importer: Importer
) -> None:
    places = ImageVersions(settings).store.places
    made = await importer.import_tar(stream(tar(complete())), "test")
    await importer.place(made, IMAGE, 1)
    assert list(places.objects.glob("*/*"))
    await importer.remove(IMAGE)
    await until(lambda: clock.sleepers == 1, what="the collector to wait")
    assert list(places.objects.glob("*/*")) == []
    assert list(places.quarantine.iterdir())
    assert list(places.commits.iterdir()) == []
    clock.advance(GRACE_S + 1)
    await until(lambda: not list(places.quarantine.iterdir()), what="the quarantine to be empty")


async def test_a_store_that_cannot_be_collected_is_tried_again(
    settings: ImageSettings, clock: ManualClock, importer: Importer
) -> None:
    made = await importer.import_tar(stream(tar(complete())), "test")
    await importer.place(made, IMAGE, 1)
    odd = settings.state_dir / "vms" / "7" / "1"
    odd.mkdir(parents=True)
    (odd / "image").write_text("no JSON")
    importer.collector.request()
    await until(lambda: clock.sleepers == 1, what="the collector to try again later")
    (odd / "image").unlink()
    clock.advance(GRACE_S)
    await until(lambda: clock.sleepers == 0, what="the collector to be done")
    odd.rmdir()
