"""Branches and tags in PostgreSQL: compare and swap, the log, and the commits behind them."""

import asyncio

import pytest

from qvdnode.db.image_refs import ImageRefs, RefMove, RefName
from qvdnode.db.images import Images, NewCommit
from qvdnode.db.pool import Database
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.ids import ImageId
from qvdnode.model.image_commit import CommitRecord

pytestmark = pytest.mark.postgres

FIRST = CommitRecord("a" * 64, (), b"first")
SECOND = CommitRecord("b" * 64, (FIRST.name,), b"second")
MAIN = RefName("main")


def to(new: str | None, old: str | None = None, ref: RefName = MAIN) -> RefMove:
    return RefMove(ref, new, "ana", "why", old)


@pytest.fixture
async def image(database: Database) -> ImageId:
    return (await Images(database).create("icewm")).id


async def test_a_branch_moves_from_where_it_is_and_keeps_a_log(
    database: Database, image: ImageId
) -> None:
    refs = ImageRefs(database)
    await refs.move(image, to(FIRST.name), [FIRST])
    await refs.move(image, to(SECOND.name, FIRST.name), [SECOND, FIRST])
    assert await refs.get(image, MAIN) == SECOND.name
    assert await refs.all(image) == {MAIN: SECOND.name}
    moves = await refs.moves(image, MAIN)
    assert [(move.old, move.new, move.who) for move in moves] == [
        (FIRST.name, SECOND.name, "ana"),
        (None, FIRST.name, "ana"),
    ]
    assert await refs.commits(image) == {FIRST.name: FIRST, SECOND.name: SECOND}
    await refs.move(image, to(None, SECOND.name))
    assert await refs.get(image, MAIN) is None


async def test_a_move_from_elsewhere_is_refused_and_changes_nothing(
    database: Database, image: ImageId
) -> None:
    refs = ImageRefs(database)
    await refs.move(image, to(FIRST.name), [FIRST])
    with pytest.raises(Conflict, match="somebody else"):
        await refs.move(image, to(SECOND.name, SECOND.name), [SECOND])
    with pytest.raises(Conflict, match="does not exist"):
        await refs.move(image, to(FIRST.name, FIRST.name, RefName("test")))
    assert await refs.commits(image) == {FIRST.name: FIRST}
    assert await refs.all(image) == {MAIN: FIRST.name}


async def test_of_two_moves_at_once_one_is_made(database: Database, image: ImageId) -> None:
    refs = ImageRefs(database)
    await refs.move(image, to(FIRST.name), [FIRST, SECOND])
    moves = [refs.move(image, to(SECOND.name, FIRST.name)) for _ in range(6)]
    done = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(one is None for one in done) == 1
    assert all(one is None or isinstance(one, Conflict) for one in done)
    assert len(await refs.moves(image, MAIN)) == 2


async def test_a_tag_never_moves(database: Database, image: ImageId) -> None:
    refs, tag = ImageRefs(database), RefName("good", tag=True)
    await refs.move(image, to(FIRST.name, ref=tag), [FIRST, SECOND])
    with pytest.raises(Conflict, match="never move"):
        await refs.move(image, to(SECOND.name, FIRST.name, tag))
    await refs.move(image, to(None, FIRST.name, tag))
    await refs.move(image, to(SECOND.name, ref=tag))


async def test_a_version_is_a_commit_that_a_branch_moves_to(
    database: Database, image: ImageId
) -> None:
    images, refs = Images(database), ImageRefs(database)
    made = NewCommit([SECOND, FIRST], RefMove(MAIN, SECOND.name, "ana", "import", anywhere=True))
    number = await images.add_version(image, size_bytes=5, made=made)
    assert await images.version_commit(image, number) == ("icewm", SECOND.name)
    assert await refs.get(image, MAIN) == SECOND.name
    late = NewCommit([FIRST], RefMove(MAIN, FIRST.name, "eva", "commit", old=FIRST.name))
    with pytest.raises(Conflict):
        await images.add_version(image, size_bytes=5, made=late)
    assert len(await images.versions(image)) == 1
    with pytest.raises(NotFound):
        await images.version_commit(image, 9)


async def test_the_commit_of_an_older_version_is_told_once(
    database: Database, image: ImageId
) -> None:
    images = Images(database)
    number = await images.add_version(image, size_bytes=5)
    assert await images.untold() == [(image, number)]
    assert await images.version_commit(image, number) == ("icewm", None)
    await images.tell_commit(image, number, [FIRST])
    await images.tell_commit(image, number, [SECOND])
    assert await images.version_commit(image, number) == ("icewm", FIRST.name)
    assert await images.untold() == []


async def test_a_deleted_image_is_remembered_for_other_nodes(
    database: Database, image: ImageId
) -> None:
    images, refs = Images(database), ImageRefs(database)
    await refs.move(image, to(FIRST.name), [FIRST])
    await images.add_version(image, size_bytes=5, made=NewCommit([FIRST]))
    await images.delete(image)
    assert await images.removals() == [image]
    assert await refs.commits(image) == {}
    with pytest.raises(NotFound):
        await images.delete(image)
