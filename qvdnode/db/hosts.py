"""Connects to the first of several hosts that accepts writes.

asyncpg's own list always begins with the first host, gives one time limit to all of them, and stops
at "too many connections" or "shutting down"; a black-holed first host would hide the others.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from qvdnode.db.dsn import host_and_port, single_host_dsns
from qvdnode.db.raw import RawConnection
from qvdnode.db.settings import DatabaseSettings
from qvdnode.db.translation import AWAY
from qvdnode.model.errors import Unavailable
from qvdnode.runtime.time_limit import TimeLimit

log = logging.getLogger(__name__)

REFUSALS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Hosts:
    """The hosts of one DSN, the last one that answered first."""

    def __init__(
        self, dsns: Sequence[str], *, connect_limit_s: float, statement_limit_s: float
    ) -> None:
        self._order = deque(dsns)
        self._limit_s = connect_limit_s
        self._server_settings = {
            "application_name": "qvdnode",
            "statement_timeout": f"{statement_limit_s * 1000:.0f}",
            "idle_in_transaction_session_timeout": "30s",
        }

    async def connect(self) -> RawConnection:
        """Return a connection that accepts writes; raises Unavailable after all hosts failed."""
        refused = []
        for _ in range(len(self._order)):
            dsn = self._order[0]
            try:
                return await self._connect_to(dsn)
            except REFUSALS as error:  # TimeoutError is an OSError
                self._demote(dsn)
                refused.append(f"{host_and_port(dsn)}: {str(error) or type(error).__name__}")
            except asyncio.CancelledError:
                # the caller's time limit ended at this host: try another first next time
                self._demote(dsn)
                raise
        log.debug("database_refused", extra={"hosts": refused})
        raise Unavailable(AWAY) from ConnectionError("; ".join(refused))

    async def _connect_to(self, dsn: str) -> RawConnection:
        async with TimeLimit(self._limit_s):
            return await asyncpg.connect(
                dsn,
                target_session_attrs=SessionAttribute.read_write,
                server_settings=self._server_settings,
            )

    def _demote(self, dsn: str) -> None:
        if self._order[0] == dsn:
            self._order.rotate(-1)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Parameters that a server reported on connecting."""

    version: str
    superuser: bool
    """Whether our role is one there."""


async def server_facts(settings: DatabaseSettings) -> ServerFacts:
    """Return facts about the server that takes writes.

    Raises BadConfig, and Unavailable with what each host said as its cause.
    """
    hosts = Hosts(
        single_host_dsns(settings.dsn),
        connect_limit_s=settings.connect_limit_s,
        statement_limit_s=settings.statement_limit_s,
    )
    connection = await hosts.connect()
    try:
        version = connection.get_server_version()
        # a pooler in between may not pass it on
        superuser = getattr(connection.get_settings(), "is_superuser", "off") == "on"
    finally:
        connection.terminate()
    return ServerFacts(f"{version.major}.{version.minor}", superuser)
