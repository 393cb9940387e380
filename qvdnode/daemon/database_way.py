"""This node's way to the farm's database: a DSN, its own embedded server, or another node.

The farm may move to another database while the node runs. Nodes learn it from the mark in the one
that was left, and, when that does not answer, from each other; then all connections lead to the new
one and the rest of the node notices only that the database was away for a moment.
"""

import logging
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from qvdnode.daemon.config import Config
from qvdnode.daemon.peers import database_address, database_tunnel, farm_files
from qvdnode.db.database_move import MoveState, arrive, read_mark
from qvdnode.db.dsn import host_and_port, single_host_dsns
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.pool import Database
from qvdnode.model.errors import FarmError, Unavailable
from qvdnode.peer.database_place import DatabasePlace, followed, open_place
from qvdnode.peer.directory import Directory
from qvdnode.peer.farm_files import FarmFiles, FarmMember, NodeAddress
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.peer.ports import PeerDialer
from qvdnode.peer.signpost import ask_place
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
ASK_EVERY_S: Final = 5.0
"""How often other nodes are asked while the database is away."""
ENTERED_MAX: Final = 8
"""More moves than that at once are a circle."""


class DatabaseWay:
    """Where the connections of this process go."""

    def __init__(
        self, config: Config, clock: Clock, tasks: Supervisor | None, scope: AsyncExitStack
    ) -> None:
        """What is opened stays so until the end of `scope`: others may still read there."""
        self._config = config
        self._clock = clock
        self._tasks = tasks
        self._scope = scope
        self._files = farm_files(config)
        self._address: tuple[str, NodeAddress | None] = ("", None)
        self._embedded_dsn = ""
        self._tunnels = 0
        self._asked_s = -ASK_EVERY_S
        self.moves = 0
        """How often the farm had moved when this way was taken."""

    @property
    def files(self) -> FarmFiles:
        """This host's membership."""
        return self._files

    def place(self) -> tuple[str, NodeAddress | None]:
        """As daemon.peers.database_address, of the way that is taken now."""
        return self._address

    async def open(self, *, visiting: bool, may_restart: bool) -> Database:
        """A pool that leads there; raises FarmError."""
        member = self._files.member()
        self._address = database_address(self._config, member)
        self.moves = 0 if member is None else member.moves
        dsn = await self._enter(visiting=visiting, may_restart=may_restart)
        rng = random.Random(secrets.randbits(64))
        database = await Database.open(dsn, self._config.database, self._clock, rng)
        self._scope.push_async_callback(database.close)
        if database.available:
            for _ in range(ENTERED_MAX):
                if not await self.follow_mark(database):
                    break
        return database

    async def follow_mark(self, database: Database) -> bool:
        """Follow the farm if it has left the database; raises FarmError."""
        mark = await read_mark(database)
        member = self._files.member()
        if mark.state is not MoveState.LEFT or mark.place is None or member is None:
            return False
        await self.follow(database, member, open_place(mark.place, member))
        return True

    async def follow(self, database: Database, member: FarmMember, place: DatabasePlace) -> None:
        """Lead all connections to that place, and keep it for the next start; raises FarmError."""
        before = self._address
        member = followed(member, place, before[0])
        self._files.keep(member)
        self._address = (member.dsn, member.database_node)
        self.moves = place.moves
        log.info("database_moved", extra={"to": told(self._address), "moves": place.moves})
        database.lead_to(await self._enter(visiting=self._tasks is None, may_restart=True))
        await arrive(database, place.moves)

    async def ask_others(
        self, database: Database, own: OwnIdentity, directory: Directory, dialer: PeerDialer
    ) -> None:
        """While the database is away: has the farm left it without this node?"""
        now_s = self._clock.monotonic_s()
        if not own.ready or now_s - self._asked_s < ASK_EVERY_S:
            return
        self._asked_s = now_s
        for peer in directory.all():
            node_id = peer.address.node_id
            if node_id == own.node_id:
                continue
            try:
                place = open_place(await ask_place(dialer, node_id), own.member)
            except FarmError as error:
                log.debug("database_place_unknown", extra={"node": node_id, "because": str(error)})
                continue
            if place.moves > self.moves:
                await self.follow(database, own.member, place)
                return

    async def _enter(self, *, visiting: bool, may_restart: bool) -> str:
        dsn, node = self._address
        if node is not None:
            self._tunnels += 1
            tunnel = database_tunnel(
                self._config, self._clock, node, self._tasks, number=self._tunnels
            )
            return await self._scope.enter_async_context(tunnel)
        return dsn or await self._embedded(visiting=visiting, may_restart=may_restart)

    async def _embedded(self, *, visiting: bool, may_restart: bool) -> str:
        if not self._embedded_dsn:
            server = EmbeddedPostgres(self._config.database, self._clock)
            self._embedded_dsn = await server.start(may_restart=may_restart)
            if not (visiting and server.adopted):
                self._scope.push_async_callback(server.stop)
            if self._tasks is not None:
                self._scope.callback(self._tasks.essential("postgres", server.run()).cancel)
        return self._embedded_dsn


async def keep_following(
    way: DatabaseWay,
    database: Database,
    clock: Clock,
    others: tuple[OwnIdentity, Directory, PeerDialer],
    changed: Callable[[], object],
) -> None:
    """Follow the farm's moves until cancelled; `changed` is called after each."""
    because = ""
    while True:
        moves = way.moves
        try:
            if database.available:
                await way.follow_mark(database)
            else:
                await way.ask_others(database, *others)
            because = ""
        except Unavailable as error:
            log.debug("database_mark_not_read", extra={"because": str(error)})
        except FarmError as error:
            if str(error) != because:
                log.warning("database_move_not_followed", extra={"because": str(error)})
            because = str(error)
        if way.moves != moves:
            changed()
        await clock.sleep(LOOK_EVERY_S)


def told(address: tuple[str, NodeAddress | None]) -> str:
    """A place for people and logs, without passwords."""
    dsn, node = address
    if node is not None:
        return f"embedded in node {node.node_id} at {node.host} port {node.port}"
    if not dsn:
        return "embedded in this node"
    return ", ".join(host_and_port(one) for one in single_host_dsns(dsn))


@asynccontextmanager
async def open_way(
    config: Config,
    clock: Clock,
    tasks: Supervisor | None = None,
    *,
    visiting: bool = False,
    may_restart: bool = True,
) -> AsyncIterator[tuple[DatabaseWay, Database]]:
    """The way, and a pool that leads along it; as daemon.opening.open_database."""
    async with AsyncExitStack() as scope:
        way = DatabaseWay(config, clock, tasks, scope)
        database = await way.open(visiting=visiting, may_restart=may_restart)
        if tasks is not None:
            scope.callback(tasks.essential("database", database.run()).cancel)
        yield way, database
