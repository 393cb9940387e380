"""`qvdnode database move`: the farm leaves its database for another one, while its nodes serve."""

import random
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from qvdnode.cluster.keyring import NONCE_BYTES
from qvdnode.daemon.config import Config
from qvdnode.daemon.database_way import DatabaseWay, open_way, told
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.backup_archive import TableDump
from qvdnode.db.database_move import read_mark
from qvdnode.db.dsn import single_host_dsns
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.farm_copy import Move, Moved, move_farm
from qvdnode.db.nodes import Node, Nodes
from qvdnode.db.pool import Database
from qvdnode.db.translation import ChangedMeanwhile
from qvdnode.model.errors import Conflict, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer.database_place import DatabasePlace, seal_place
from qvdnode.peer.farm_files import FarmMember, NodeAddress
from qvdnode.runtime.clock import Clock

EMBEDDED: Final = "embedded"
TRIES: Final = 5
FOLLOW_LIMIT_S: Final = 30.0
FOLLOW_POLL_S: Final = 0.5
NOT_JOINED: Final = (
    "This host is not a node of a farm yet: run `qvdnode init` or `qvdnode join`,"
    " and start it once."
)

Told = Callable[[str, str, int], None]


@dataclass(frozen=True, slots=True)
class MoveReport:
    """What was done."""

    before: str
    """Where the farm was, without passwords."""
    after: str
    moves: int
    tables: tuple[TableDump, ...]
    sequences: int
    seconds: float
    """How long writers waited, at most."""
    followed: tuple[str, ...]
    """The nodes that served and use the new database by now."""
    missing: tuple[str, ...]
    """Those that served and do not, up to now."""
    superseded_dsn: bool
    """Whether this node's configuration names a database that the farm has left."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the farm's database is."""

    place: str
    moves: int
    available: bool
    superseded_dsn: bool


async def show_database(config: Config, clock: Clock) -> Standing:
    """Where it is, as this host knows; raises FarmError."""
    async with open_way(config, clock, visiting=True, may_restart=False) as (way, database):
        return Standing(told(way.place()), way.moves, database.available, _superseded(config, way))


async def move_database(
    config: Config, to: str, clock: Clock, *, force: bool, tell: Told
) -> MoveReport:
    """Move to a DSN, or to this node's embedded server; raises FarmError.

    `force` replaces what people made in the other database.
    """
    async with AsyncExitStack() as scope:
        opened = open_way(config, clock, visiting=True, may_restart=False)
        way, source = await scope.enter_async_context(opened)
        member = way.files.member()
        if member is None or member.node_id is None:
            raise Conflict(NOT_JOINED)
        if not source.available:
            raise Unavailable(f"The farm's database is away: {told(way.place())}.")
        mark, before = await read_mark(source), way.place()
        target, place = await _target(config, to, clock, way, source, scope)
        place = DatabasePlace(mark.number + 1, place.dsn, place.node)
        sealed = seal_place(place, member, secrets.token_bytes(NONCE_BYTES))
        move = Move(member.farm_id, place.moves, sealed, force)
        began_s = clock.monotonic_s()
        moved = await _persistently(source, target, move, tell)
        seconds = clock.monotonic_s() - began_s
        await way.follow(source, member, place)
        followed, missing = await _wait_for_nodes(target, moved, clock, tell)
        return MoveReport(
            before=told(before),
            after=told(way.place()),
            moves=place.moves,
            tables=moved.tables,
            sequences=len(moved.sequences),
            seconds=round(seconds, 2),
            followed=tuple(followed),
            missing=tuple(missing),
            superseded_dsn=_superseded(config, way),
        )


def _superseded(config: Config, way: DatabaseWay) -> bool:
    return bool(config.database.dsn) and config.database.dsn != way.place()[0]


async def _target(
    config: Config,
    to: str,
    clock: Clock,
    way: DatabaseWay,
    source: Database,
    scope: AsyncExitStack,
) -> tuple[Database, DatabasePlace]:
    """The other database, open, and where nodes will find it."""
    if to == EMBEDDED:
        if way.place() == ("", None):
            raise Conflict("The farm's database is embedded in this node already.")
        server = EmbeddedPostgres(config.database, clock)
        dsn = await server.start(may_restart=False)
        if not server.adopted and not _serves_here(config):
            scope.push_async_callback(server.stop)
        place = DatabasePlace(0, "", _address(await Nodes(source).get(_own(way))))
    else:
        single_host_dsns(to)
        dsn, place = to, DatabasePlace(0, to)
    rng = random.Random(secrets.randbits(64))
    target = await Database.open(dsn, config.database, clock, rng)
    scope.push_async_callback(target.close)
    if not target.available:
        try:
            (await target.connect_apart()).terminate()
        except Unavailable as error:
            raise Unavailable(f"The other database cannot be used: {error.__cause__}") from error
    return target, place


def _own(way: DatabaseWay) -> NodeId:
    member: FarmMember | None = way.files.member()
    if member is None or member.node_id is None:
        raise Conflict(NOT_JOINED)
    return member.node_id


def _address(row: Node) -> NodeAddress:
    if row.peer_key is None:
        raise Conflict(NOT_JOINED)
    return NodeAddress(row.id, row.address, row.peer_port, row.peer_key)


def _serves_here(config: Config) -> bool:
    """Whether this host's node runs: it goes on with a server that is started now."""
    try:
        with StateLock(config.node.state_dir):
            return False
    except Conflict:
        return True


async def _persistently(source: Database, target: Database, move: Move, tell: Told) -> Moved:
    for left in reversed(range(TRIES)):
        try:
            return await move_farm(source, target, move, tell)
        except ChangedMeanwhile:  # a deadlock with somebody who wrote
            if left == 0:
                raise
    raise AssertionError("returned or raised")


async def _wait_for_nodes(
    target: Database, moved: Moved, clock: Clock, tell: Told
) -> tuple[list[str], list[str]]:
    """The nodes that served: those that renew their lease in the new database, and the others."""
    nodes = Nodes(target)
    waiting = {lease.node_id: lease for lease in moved.serving}
    followed: list[str] = []
    deadline_s = clock.monotonic_s() + FOLLOW_LIMIT_S
    while waiting and clock.monotonic_s() < deadline_s:
        for node in await nodes.peers():
            if node.id in waiting and node.lease_until != waiting[node.id].until:
                followed.append(waiting.pop(node.id).name)
                tell("followed", followed[-1], 0)
        if waiting:
            await clock.sleep(FOLLOW_POLL_S)
    return followed, [lease.name for lease in waiting.values()]
