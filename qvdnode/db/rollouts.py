"""Rollouts of image versions, how starts with each version went, and the tags of VMs.

Every node may make a rollout go on: its row is locked for the look and the step, and a node that
finds it locked leaves it to the other one.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from qvdnode.db.pool import Database
from qvdnode.db.rows import found
from qvdnode.db.transaction import Transaction
from qvdnode.model import rollout as rules
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.ids import Generation, ImageId, VmId
from qvdnode.model.rollout import (
    Evidence,
    Expiry,
    Gate,
    Member,
    Rollout,
    RolloutEvent,
    RolloutState,
    Stage,
)

log = logging.getLogger(__name__)

HOLDING: Final = ", ".join(f"'{state}'" for state in sorted(rules.HOLDING))
ACTIVE: Final = ", ".join(f"'{state}'" for state in sorted(rules.ACTIVE))
FIELDS: Final = (
    "id", "from_version", "to_version", "stages", "gate", "expiry", "state", "stage",
)  # fmt: skip
KEPT_DAYS: Final = 60
"""How long starts are kept once they are over."""

COLUMNS: Final = """
    r.*, EXTRACT(EPOCH FROM clock_timestamp() - r.moved_at)::float8 AS in_stage_s, i.head_version
"""
BEGIN: Final = """
INSERT INTO image_rollout
    (image_id, from_version, to_version, stages, gate, expiry, reason, started_by)
SELECT i.id, i.head_version, v.version, $3::jsonb, $4::jsonb, $5::jsonb, 'started', $6
FROM image i JOIN image_version v ON v.image_id = i.id
WHERE i.id = $1 AND v.version = $2 AND i.head_version <> v.version
RETURNING id
"""
LATEST: Final = f"""
SELECT {COLUMNS} FROM image_rollout r JOIN image i ON i.id = r.image_id
WHERE r.image_id = $1 ORDER BY r.id DESC LIMIT 1
"""
FOLLOWED: Final = f"""
SELECT DISTINCT ON (r.image_id) {COLUMNS} FROM image_rollout r JOIN image i ON i.id = r.image_id
ORDER BY r.image_id, r.id DESC
"""
DUE: Final = f"SELECT id FROM image_rollout WHERE state IN ({ACTIVE}) ORDER BY id"
LOCKED: Final = f"""
SELECT {COLUMNS} FROM image_rollout r JOIN image i ON i.id = r.image_id
WHERE r.id = $1 FOR UPDATE OF r
"""
MOVE: Final = """
UPDATE image_rollout SET state = $2, stage = $3, reason = $4, moved_at = clock_timestamp(),
    counted_from = CASE WHEN $5 THEN clock_timestamp() ELSE counted_from END
WHERE id = $1
"""
SET_HEAD: Final = "UPDATE image SET head_version = $2 WHERE id = $1"
EVIDENCE: Final = """
SELECT count(*) AS started, count(s.ready_at) AS ready,
    count(*) FILTER (WHERE s.failed AND s.ready_at IS NULL) AS failed,
    count(*) FILTER (WHERE s.failed AND s.ready_at IS NOT NULL) AS crashed,
    percentile_cont(0.95) WITHIN GROUP (
        ORDER BY EXTRACT(EPOCH FROM s.ready_at - s.begun_at)::float8
    ) AS ready_p95_s
FROM vm_start s JOIN image_rollout r ON r.image_id = s.image_id AND r.to_version = s.version
WHERE r.id = $1 AND s.begun_at >= r.counted_from
"""
NOTE: Final = """
INSERT INTO vm_start (vm_id, gen, image_id, version)
SELECT id, gen, $3, $4 FROM vm WHERE id = $1 AND gen = $2 ON CONFLICT DO NOTHING
"""
FORGET: Final = """
DELETE FROM vm_start s WHERE s.begun_at < clock_timestamp() - make_interval(days => $1)
AND NOT EXISTS (
    SELECT 1 FROM vm v WHERE v.id = s.vm_id AND v.gen = s.gen AND v.owner_node IS NOT NULL
)
"""
STALE: Final = """
UPDATE vm_start SET stale_at = coalesce(stale_at, clock_timestamp())
WHERE vm_id = $1 AND gen = $2
RETURNING EXTRACT(EPOCH FROM clock_timestamp() - stale_at)::float8
"""
FRESH: Final = "UPDATE vm_start SET stale_at = NULL WHERE vm_id = $1 AND gen = $2"
TAGS: Final = "ARRAY(SELECT g.tag FROM vm_tag g WHERE g.vm_id = v.id ORDER BY g.tag)"
"""The tags of a VM `v`."""
JOIN: Final = f"LEFT JOIN image_rollout r ON r.image_id = i.id AND r.state IN ({ACTIVE})"
"""The rollout of an image `i` by which its desktops start, if there is one."""


def selected(prefix: str) -> str:
    """What to select of a rollout `r`."""
    return ", ".join(f"r.{name} AS {prefix}{name}" for name in FIELDS)


MEMBERS: Final = f"""
SELECT v.id, v.name, v.gen, v.state, u.login || '@' || t.name AS login, {TAGS} AS tags,
    h.name AS host, o.name AS node, s.version, s.stale_at
FROM vm v JOIN flavour f ON f.id = v.flavour_id JOIN app_user u ON u.id = v.user_id
    JOIN tenant t ON t.id = u.tenant_id LEFT JOIN node h ON h.id = u.home_node
    LEFT JOIN node o ON o.id = v.owner_node
    LEFT JOIN vm_start s ON s.vm_id = v.id AND s.gen = v.gen AND v.owner_node IS NOT NULL
WHERE f.image_id = $1 ORDER BY v.id
"""
GET_TAGS: Final = f"SELECT {TAGS} FROM vm v WHERE v.id = $1"
CLEAR_TAGS: Final = "DELETE FROM vm_tag WHERE vm_id = $1"
SET_TAGS: Final = """
INSERT INTO vm_tag (vm_id, tag) SELECT v.id, unnest($2::text[]) FROM vm v WHERE v.id = $1
"""


@dataclass(frozen=True, slots=True)
class KeptRollout:
    """A rollout with what only its row says."""

    rollout: Rollout
    image_id: ImageId
    head_version: int
    reason: str
    started_by: str
    started_at: datetime
    moved_at: datetime
    in_stage_s: float
    """How long the state and the stage have been what they are."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a desktop is."""

    member: Member
    name: str
    generation: Generation
    state: str
    node: str | None
    """The node that runs it."""
    version: int | None
    """What it runs on; None when it does not run."""
    stale_at: datetime | None
    """Since when it should run on another version."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A step that a rollout took by itself."""

    image_id: ImageId
    rollout: Rollout
    reason: str


class Rollouts:
    """The tables of rollouts, starts and tags."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def begin(
        self,
        image_id: ImageId,
        to_version: int,
        stages: Sequence[Stage],
        gate: Gate,
        expiry: Expiry,
        started_by: str,
    ) -> KeptRollout:
        """Begin a rollout from the head of an image.

        Raises Invalid for the stages, NotFound for the version, Conflict when it is the head or
        another rollout of the image is not over.
        """
        rules.check(stages)
        plan = [json.dumps([asdict(stage) for stage in stages])]
        plan += [json.dumps(asdict(part)) for part in (gate, expiry)]
        try:
            made = await self._db.fetchval(BEGIN, image_id, to_version, *plan, started_by)
        except Conflict as error:
            there = await self.latest(image_id)
            state = there.rollout.state.value.replace("_", " ")
            raise Conflict(
                f"There is a rollout of this image to version {there.rollout.to_version}, which is"
                f" {state}: abort it first."
            ) from error
        if made is None:
            raise Conflict(
                f"Version {to_version} is the head already, or there is no such version."
            )
        return await self.latest(image_id)

    async def latest(self, image_id: ImageId) -> KeptRollout:
        """The newest rollout of an image; raises NotFound."""
        row = await self._db.fetchrow(LATEST, image_id, idempotent=True)
        if row is None:
            raise NotFound("There was no rollout of this image yet.")
        return _kept(row)

    async def followed(self) -> Sequence[KeptRollout]:
        """The newest rollout of each image."""
        return [_kept(row) for row in await self._db.fetch(FOLLOWED, idempotent=True)]

    async def change(self, image_id: ImageId, event: RolloutEvent, reason: str) -> KeptRollout:
        """Let an administrator's event happen to the newest rollout; raises NotFound, Conflict."""
        there = await self.latest(image_id)
        async with self._db.transaction() as tx:
            kept = _kept(found(await tx.fetchrow(LOCKED, there.rollout.id), "rollout", image_id))
            await self._move(tx, kept, event, reason)
        return await self.latest(image_id)

    async def go_on(self) -> Sequence[Moved]:
        """Let happen what is due for each rollout; returns the steps that were taken."""
        moved = []
        for row in await self._db.fetch(DUE, idempotent=True):
            async with self._db.transaction() as tx:
                locked = await tx.fetchrow(f"{LOCKED} SKIP LOCKED", row["id"])
                if locked is None:
                    continue  # another node looks at it
                kept = _kept(locked)
                event = rules.next_event(
                    kept.rollout, _evidence(await tx.fetchrow(EVIDENCE, row["id"])), kept.in_stage_s
                )
                if event is not None:
                    after = await self._move(tx, kept, *event)
                    moved.append(Moved(kept.image_id, after, event[1]))
        return moved

    async def evidence(self, rollout_id: int) -> Evidence:
        """How the starts with the new version went."""
        return _evidence(await self._db.fetchrow(EVIDENCE, rollout_id, idempotent=True))

    async def note_start(
        self, vm_id: VmId, generation: Generation, image_id: ImageId, version: int
    ) -> None:
        """Note what a start runs on. A start that is over, or of a VM that is gone, is ignored."""
        await self._db.execute(NOTE, vm_id, generation, image_id, version, idempotent=True)

    async def mark_stale(self, vm_id: VmId, generation: Generation) -> float:
        """Note that a desktop should run on another version; returns since how many seconds."""
        since = await self._db.fetchval(STALE, vm_id, generation, idempotent=True)
        return 0.0 if since is None else float(since)

    async def mark_fresh(self, vm_id: VmId, generation: Generation) -> None:
        """Undo `mark_stale`."""
        await self._db.execute(FRESH, vm_id, generation, idempotent=True)

    async def forget_old(self) -> None:
        """Delete starts that ended long ago."""
        await self._db.execute(FORGET, KEPT_DAYS, idempotent=True)

    async def places(self, image_id: ImageId) -> Sequence[Place]:
        """Where all desktops of an image are."""
        return [_place(row) for row in await self._db.fetch(MEMBERS, image_id, idempotent=True)]

    async def tags(self, vm_id: VmId) -> Sequence[str]:
        """The tags of a VM; raises NotFound."""
        row = await self._db.fetchrow(GET_TAGS, vm_id, idempotent=True)
        return list(found(row, "VM", vm_id)[0])

    async def set_tags(self, vm_id: VmId, tags: Sequence[str]) -> None:
        """Replace the tags of a VM; raises NotFound."""
        _ = await self.tags(vm_id)
        async with self._db.transaction() as tx:
            await tx.execute(CLEAR_TAGS, vm_id)
            await tx.execute(SET_TAGS, vm_id, sorted(set(tags)))

    async def _move(
        self, tx: Transaction, kept: KeptRollout, event: RolloutEvent, reason: str
    ) -> Rollout:
        before = kept.rollout
        state = rules.step(before.state, event)
        # What an administrator lets go on after a breach begins anew, with nothing held against it.
        again = before.state is RolloutState.ROLLED_BACK and state is RolloutState.RUNNING
        stage = 0 if again else before.stage + (event is RolloutEvent.SOAKED)
        await tx.execute(MOVE, before.id, state, stage, reason, again)
        if state is RolloutState.DONE:
            await tx.execute(SET_HEAD, kept.image_id, before.to_version)
        return _rollout({**_fields(before), "state": state, "stage": stage})


def convert(row: asyncpg.Record, prefix: str = "") -> Rollout | None:
    """The rollout in a row that has FIELDS under this prefix; None where they are null."""
    if row[f"{prefix}id"] is None:
        return None
    values = {name: row[prefix + name] for name in FIELDS}
    return _rollout(
        {
            **values,
            "stages": tuple(Stage(**stage) for stage in json.loads(values["stages"])),
            "gate": Gate(**json.loads(values["gate"])),
            "expiry": Expiry(**json.loads(values["expiry"])),
            "state": RolloutState(values["state"]),
        }
    )


def _rollout(values: Mapping[str, Any]) -> Rollout:
    return Rollout(**values)


def _fields(rollout: Rollout) -> dict[str, Any]:
    return {name: getattr(rollout, name) for name in FIELDS}


def _kept(row: asyncpg.Record) -> KeptRollout:
    rollout = convert(row)
    if rollout is None:
        raise AssertionError("a row of the table has an id")
    return KeptRollout(
        rollout,
        ImageId(row["image_id"]),
        row["head_version"],
        row["reason"],
        row["started_by"],
        row["started_at"],
        row["moved_at"],
        row["in_stage_s"],
    )


def _evidence(row: asyncpg.Record | None) -> Evidence:
    return Evidence() if row is None else Evidence(**dict(row))


def _place(row: asyncpg.Record) -> Place:
    return Place(
        Member(VmId(row["id"]), row["login"], frozenset(row["tags"]), row["host"] or ""),
        row["name"],
        Generation(row["gen"]),
        row["state"],
        row["node"],
        row["version"],
        row["stale_at"],
    )
