"""Images and their versions: which exist, and which is the head. image/ has their files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from qvdnode.db.image_refs import RefMove, keep_commits, move_ref
from qvdnode.db.lists import ListSource, SortKey, name_key, read_list
from qvdnode.db.pool import Database
from qvdnode.db.rollouts import ACTIVE, HOLDING
from qvdnode.db.rows import changed, found, row_count
from qvdnode.model.errors import Conflict
from qvdnode.model.farm import Image
from qvdnode.model.ids import ImageId
from qvdnode.model.image_commit import CommitRecord
from qvdnode.model.listing import Listing, Page

KIND: Final = "image"

CREATE: Final = "INSERT INTO image (name) VALUES ($1) RETURNING id"
COLUMNS: Final = (
    "i.id, i.name, i.head_version, coalesce(v.size_bytes, 0) AS size_bytes, i.created_at"
)
TABLES: Final = (
    "image i LEFT JOIN image_version v ON v.image_id = i.id AND v.version = i.head_version"
)
SELECT: Final = f"SELECT {COLUMNS} FROM {TABLES} "
GET: Final = SELECT + "WHERE i.id = $1"
BY_NAME: Final = SELECT + "WHERE i.name = $1"
LIST: Final = ListSource(
    columns=COLUMNS,
    tables=TABLES,
    id="i.id",
    searched=("i.name",),
    sorts={"name": name_key("i.name"), "created_at": SortKey("i.created_at", is_time=True)},
)
LOCK: Final = "SELECT id FROM image WHERE id = $1 FOR UPDATE"
ADD_VERSION: Final = """
INSERT INTO image_version (image_id, version, size_bytes, note, commit_name)
SELECT $1, greatest(max(version), $4) + 1, $2, $3, $5 FROM image_version WHERE image_id = $1
RETURNING version
"""
VERSION_COMMIT: Final = """
SELECT i.name, v.commit_name FROM image i JOIN image_version v ON v.image_id = i.id
WHERE i.id = $1 AND v.version = $2
"""
TELL_COMMIT: Final = """
UPDATE image_version SET commit_name = $3
WHERE image_id = $1 AND version = $2 AND commit_name IS NULL
"""
UNTOLD: Final = """
SELECT image_id, version FROM image_version WHERE commit_name IS NULL ORDER BY image_id, version
"""
SET_HEAD: Final = """
UPDATE image SET head_version = $2
WHERE id = $1 AND EXISTS (SELECT 1 FROM image_version WHERE image_id = $1 AND version = $2)
"""
VERSIONS: Final = """
SELECT version, size_bytes, note, created_at, commit_name FROM image_version
WHERE image_id = $1 ORDER BY version
"""
# not while a rollout decides what starts, nor after one that went back by itself
SET_IMPORTED_HEAD: Final = (
    SET_HEAD
    + f"""
AND NOT EXISTS (SELECT 1 FROM image_rollout WHERE image_id = $1 AND state IN ({HOLDING}))
"""
)
GOES_ON: Final = f"""
SELECT EXISTS (SELECT 1 FROM image_rollout WHERE image_id = $1 AND state IN ({ACTIVE}))
"""
LIFT: Final = """
UPDATE image_rollout SET state = 'aborted', reason = 'another head was chosen',
    moved_at = clock_timestamp()
WHERE image_id = $1 AND state = 'rolled_back'
"""
REMOVE_VERSION: Final = """
DELETE FROM image_version v USING image i
WHERE v.image_id = $1 AND v.version = $2 AND i.id = v.image_id
  AND i.head_version IS DISTINCT FROM v.version
"""
DELETE: Final = "DELETE FROM image WHERE id = $1"
NOTE_REMOVAL: Final = "INSERT INTO image_removal (image_id) VALUES ($1) ON CONFLICT DO NOTHING"
REMOVALS: Final = "SELECT image_id FROM image_removal ORDER BY image_id"


@dataclass(frozen=True, slots=True)
class ImageVersion:
    """One version of an image."""

    version: int
    size_bytes: int
    note: str
    created_at: datetime
    commit_name: str | None = None
    """None while no node has told it: a plain folder of an older node."""


@dataclass(frozen=True, slots=True)
class NewCommit:
    """The commit of a new version."""

    lineage: Sequence[CommitRecord]
    """It, and those before it that the farm may not know."""
    move: RefMove | None = None
    """The branch that moves to it."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.lineage[0].name


class Images:
    """The tables of images and their versions."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, name: str) -> Image:
        """Make an image without versions; raises Conflict when the name is taken."""
        return await self.get(ImageId(await self._db.fetchval(CREATE, name)))

    async def get(self, image_id: ImageId) -> Image:
        """One image; raises NotFound."""
        row = await self._db.fetchrow(GET, image_id, idempotent=True)
        return _convert(found(row, KIND, image_id))

    async def exists(self, image_id: ImageId) -> bool:
        """Whether there is such an image."""
        return await self._db.fetchrow(GET, image_id, idempotent=True) is not None

    async def by_name(self, name: str) -> Image:
        """One image; raises NotFound."""
        row = await self._db.fetchrow(BY_NAME, name, idempotent=True)
        return _convert(found(row, KIND, name))

    async def list(self, page: Page) -> Listing[Image]:
        """One page of images."""
        return await read_list(self._db, LIST, page, {}, _convert)

    async def add_version(
        self,
        image_id: ImageId,
        *,
        size_bytes: int,
        note: str = "",
        past: int = 0,
        made: "NewCommit | None" = None,
    ) -> int:
        """Note a new version and return its number; it starts only once it is the head.

        The number is greater than `past`, and than those of all other versions. `made` is its
        commit, to which a branch moves. Raises NotFound, Conflict when the branch is elsewhere.
        """
        async with self._db.transaction() as tx:
            found(
                await tx.fetchrow(LOCK, image_id), KIND, image_id
            )  # versions are counted one by one
            if made is not None:
                await keep_commits(tx, image_id, made.lineage)
            commit = None if made is None else made.name
            number = int(await tx.fetchval(ADD_VERSION, image_id, size_bytes, note, past, commit))
            if made is not None and made.move is not None:
                await move_ref(tx, image_id, made.move)
            return number

    async def version_commit(self, image_id: ImageId, version: int) -> tuple[str, str | None]:
        """The image's name, and the version's commit if a node has told it; raises NotFound."""
        row = await self._db.fetchrow(VERSION_COMMIT, image_id, version, idempotent=True)
        row = found(row, KIND, f"{image_id} with a version {version}")
        return row["name"], row["commit_name"]

    async def untold(self) -> Sequence[tuple[ImageId, int]]:
        """The versions whose commit no node has told yet."""
        rows = await self._db.fetch(UNTOLD, idempotent=True)
        return [(ImageId(row["image_id"]), row["version"]) for row in rows]

    async def tell_commit(
        self, image_id: ImageId, version: int, lineage: Sequence[CommitRecord]
    ) -> None:
        """Tell the farm the commit of a version, the first of `lineage`, if nobody has yet."""
        async with self._db.transaction() as tx:
            await keep_commits(tx, image_id, lineage)
            await tx.execute(TELL_COMMIT, image_id, version, lineage[0].name)

    async def set_head(self, image_id: ImageId, version: int) -> None:
        """Let this version start from now on; raises NotFound."""
        tag = await self._db.execute(SET_HEAD, image_id, version, idempotent=True)
        changed(tag, KIND, f"{image_id} with a version {version}")

    async def choose_head(self, image_id: ImageId, version: int) -> None:
        """As an administrator: raises Conflict while a rollout goes on, and ends one that has moved
        back."""
        async with self._db.transaction() as tx:
            if await tx.fetchval(GOES_ON, image_id):
                raise Conflict("A rollout of this image goes on: abort it first.")
            changed(await tx.execute(SET_HEAD, image_id, version), KIND, image_id)
            await tx.execute(LIFT, image_id)

    async def set_imported_head(self, image_id: ImageId, version: int) -> bool:
        """Let a new version start from now on; False while a rollout holds the head where it is."""
        tag = await self._db.execute(SET_IMPORTED_HEAD, image_id, version, idempotent=True)
        return row_count(tag) == 1

    async def versions(self, image_id: ImageId) -> tuple[ImageVersion, ...]:
        """All versions, oldest first."""
        rows = await self._db.fetch(VERSIONS, image_id, idempotent=True)
        return tuple(ImageVersion(**dict(row)) for row in rows)

    async def remove_version(self, image_id: ImageId, version: int) -> None:
        """Forget a version, if there is one; raises Conflict for the head."""
        tag = await self._db.execute(REMOVE_VERSION, image_id, version, idempotent=True)
        if not row_count(tag) and (await self.get(image_id)).head_version == version:
            raise Conflict("This version is the one that starts; make another the head first.")

    async def delete(self, image_id: ImageId) -> None:
        """Delete an image with its versions; raises Conflict while a flavour uses it, NotFound."""
        async with self._db.transaction() as tx:
            changed(await tx.execute(DELETE, image_id), KIND, image_id)
            await tx.execute(NOTE_REMOVAL, image_id)

    async def removals(self) -> Sequence[ImageId]:
        """The images that were deleted; nodes remove what they have of them."""
        rows = await self._db.fetch(REMOVALS, idempotent=True)
        return [ImageId(row["image_id"]) for row in rows]


def _convert(row: asyncpg.Record) -> Image:
    return Image(
        id=ImageId(row["id"]),
        name=row["name"],
        head_version=row["head_version"],
        size_bytes=row["size_bytes"],
        created_at=row["created_at"],
    )
