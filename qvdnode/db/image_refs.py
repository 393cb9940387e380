"""Branches and tags of images as the whole farm has them: changed by compare-and-swap, with a log.

A tag never moves. The versions of an image are numbered tags, and have a table of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from qvdnode.db.pool import Database
from qvdnode.db.transaction import Transaction
from qvdnode.model.errors import Conflict
from qvdnode.model.ids import ImageId
from qvdnode.model.image_commit import CommitRecord

HEADS: Final = "heads"
TAGS: Final = "tags"
SHORT: Final = 12
"""Digits of a commit that people are shown."""

KEEP_COMMIT: Final = """
INSERT INTO image_commit (image_id, name, parents, body) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
"""
# the image's row, so that one that is not there yet is not made twice
LOCK: Final = "SELECT id FROM image WHERE id = $1 FOR UPDATE"
GET: Final = "SELECT commit_name FROM image_ref WHERE image_id = $1 AND kind = $2 AND name = $3"
PUT: Final = """
INSERT INTO image_ref (image_id, kind, name, commit_name) VALUES ($1, $2, $3, $4)
ON CONFLICT (image_id, kind, name) DO UPDATE SET commit_name = excluded.commit_name
"""
DROP: Final = "DELETE FROM image_ref WHERE image_id = $1 AND kind = $2 AND name = $3"
LOG: Final = """
INSERT INTO image_ref_move (image_id, kind, name, old_commit, new_commit, who, why)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
ALL: Final = """
SELECT kind, name, commit_name FROM image_ref WHERE image_id = $1 ORDER BY kind, name
"""
MOVES: Final = """
SELECT old_commit, new_commit, who, why, moved_at FROM image_ref_move
WHERE image_id = $1 AND kind = $2 AND name = $3 ORDER BY id DESC LIMIT $4
"""
COMMITS: Final = "SELECT name, parents, body FROM image_commit WHERE image_id = $1"
KNOWN: Final = "SELECT name FROM image_commit WHERE image_id = $1"


@dataclass(frozen=True, slots=True)
class RefName:
    """One branch or tag of an image."""

    name: str
    tag: bool = False

    @property
    def kind(self) -> str:
        """As the table has it."""
        return TAGS if self.tag else HEADS


@dataclass(frozen=True, slots=True)
class RefMove:
    """A change of a ref."""

    ref: RefName
    new: str | None
    """None deletes it."""
    who: str
    why: str
    old: str | None = None
    """Where it must be now, None for not there."""
    anywhere: bool = False
    """Whether it may be anywhere now."""


@dataclass(frozen=True, slots=True)
class PastMove:
    """One line of the log."""

    old: str | None
    new: str | None
    who: str
    why: str
    moved_at: datetime


async def keep_commits(tx: Transaction, image_id: ImageId, commits: Sequence[CommitRecord]) -> None:
    """Keep what these commits are, as far as it is not known."""
    for commit in commits:
        await tx.execute(KEEP_COMMIT, image_id, commit.name, list(commit.parents), commit.body)


async def move_ref(tx: Transaction, image_id: ImageId, move: RefMove) -> None:
    """Change a ref; raises Conflict when it is not where it was thought to be, or a tag that is."""
    await tx.fetchrow(LOCK, image_id)
    ref = move.ref
    key = (image_id, ref.kind, ref.name)
    now = await tx.fetchval(GET, *key)
    if not move.anywhere and now != move.old:
        where = "does not exist" if now is None else f"points to {now[:SHORT]}"
        raise Conflict(f"{ref.name} {where} by now: somebody else moved it; look again.")
    if ref.tag and now is not None and move.new is not None:
        raise Conflict(f"The tag {ref.name} exists, and tags never move.")
    if now == move.new:
        return
    if move.new is None:
        await tx.execute(DROP, *key)
    else:
        await tx.execute(PUT, *key, move.new)
    await tx.execute(LOG, *key, now, move.new, move.who, move.why)


class ImageRefs:
    """The tables of branches, tags and commits."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self, image_id: ImageId) -> dict[RefName, str]:
        """Every branch and tag of an image, with its commit."""
        rows = await self._db.fetch(ALL, image_id, idempotent=True)
        return {RefName(row["name"], row["kind"] == TAGS): row["commit_name"] for row in rows}

    async def get(self, image_id: ImageId, ref: RefName) -> str | None:
        """The commit of a ref, or None."""
        row = await self._db.fetchrow(GET, image_id, ref.kind, ref.name, idempotent=True)
        return None if row is None else str(row["commit_name"])

    async def move(
        self, image_id: ImageId, move: RefMove, commits: Sequence[CommitRecord] = ()
    ) -> None:
        """Change a ref, and keep the commits that it leads to; raises Conflict, Unavailable."""
        async with self._db.transaction() as tx:
            await keep_commits(tx, image_id, commits)
            await move_ref(tx, image_id, move)

    async def moves(self, image_id: ImageId, ref: RefName, limit: int = 1_000) -> list[PastMove]:
        """The log of a ref, newest first."""
        rows = await self._db.fetch(MOVES, image_id, ref.kind, ref.name, limit, idempotent=True)
        return [
            PastMove(row["old_commit"], row["new_commit"], row["who"], row["why"], row["moved_at"])
            for row in rows
        ]

    async def commits(self, image_id: ImageId) -> dict[str, CommitRecord]:
        """Every commit of an image that the farm knows, by its name."""
        rows = await self._db.fetch(COMMITS, image_id, idempotent=True)
        return {row["name"]: _record(row) for row in rows}

    async def known(self, image_id: ImageId) -> frozenset[str]:
        """The names of these."""
        rows = await self._db.fetch(KNOWN, image_id, idempotent=True)
        return frozenset(row["name"] for row in rows)


def _record(row: asyncpg.Record) -> CommitRecord:
    return CommitRecord(row["name"], tuple(row["parents"]), bytes(row["body"]))
