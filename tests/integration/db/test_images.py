"""Images and their versions in PostgreSQL."""

import asyncio

import pytest

from qvdnode.db.images import Images
from qvdnode.db.pool import Database
from qvdnode.model.errors import Conflict, Invalid, NotFound
from qvdnode.model.ids import ImageId
from qvdnode.model.listing import Page
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres


async def test_a_new_image_has_nothing_to_start(database: Database) -> None:
    made = await Images(database).create("icewm")
    assert (made.head_version, made.size_bytes) == (None, 0)
    assert await Images(database).by_name("icewm") == made
    assert (await Images(database).list(Page())).items == (made,)


async def test_names_are_taken_once_and_fit_into_paths(database: Database) -> None:
    await Images(database).create("icewm")
    with pytest.raises(Conflict):
        await Images(database).create("icewm")
    with pytest.raises(Invalid):
        await Images(database).create("../icewm")


async def test_a_version_starts_only_once_it_is_the_head(database: Database) -> None:
    images = Images(database)
    made = await images.create("icewm")
    assert await images.add_version(made.id, size_bytes=5, note="first") == 1
    assert (await images.get(made.id)).head_version is None
    await images.set_head(made.id, 1)
    found = await images.get(made.id)
    assert (found.head_version, found.size_bytes) == (1, 5)
    assert [(item.version, item.note) for item in await images.versions(made.id)] == [(1, "first")]


async def test_versions_made_at_once_have_different_numbers(database: Database) -> None:
    images = Images(database)
    made = await images.create("icewm")
    numbers = await asyncio.gather(*(images.add_version(made.id, size_bytes=1) for _ in range(5)))
    assert sorted(numbers) == [1, 2, 3, 4, 5]


async def test_a_number_can_be_wanted_past_what_is_on_a_disk(database: Database) -> None:
    images = Images(database)
    made = await images.create("icewm")
    assert await images.add_version(made.id, size_bytes=1, past=3) == 4
    assert await images.add_version(made.id, size_bytes=1, past=3) == 5


async def test_what_is_not_there_cannot_start(database: Database) -> None:
    images = Images(database)
    made = await images.create("icewm")
    with pytest.raises(NotFound):
        await images.set_head(made.id, 1)
    with pytest.raises(NotFound):
        await images.add_version(ImageId(999), size_bytes=1)


async def test_a_version_can_be_taken_back_unless_it_is_the_head(database: Database) -> None:
    images = Images(database)
    made = await images.create("icewm")
    for _ in range(2):
        await images.add_version(made.id, size_bytes=1)
    await images.set_head(made.id, 1)
    await images.remove_version(made.id, 2)
    with pytest.raises(Conflict):
        await images.remove_version(made.id, 1)
    assert [item.version for item in await images.versions(made.id)] == [1]


async def test_an_image_in_use_stays_and_one_that_is_not_goes(database: Database) -> None:
    sample = await make_sample(database)
    images = Images(database)
    other = await images.create("xfce")
    await images.add_version(other.id, size_bytes=1)
    with pytest.raises(Conflict, match="flavour still uses"):
        await images.delete(sample.image.id)
    await images.delete(other.id)
    with pytest.raises(NotFound):
        await images.by_name("xfce")
