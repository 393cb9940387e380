"""Knows which accounts have logged in from which network, in memory and in the database.

Without the database all accounts would be unfamiliar after a restart. It is read for a network when
too many accounts have failed there, and each account's login is written once a day. While the
database is away the table in memory alone counts.
"""

import asyncio
import logging
from collections import OrderedDict
from typing import Final, TypeVar

from qvdnode.auth.core.familiar import Familiar
from qvdnode.auth.core.login_source import LoginSource, account_digest, account_name
from qvdnode.auth.ports import FamiliarStore
from qvdnode.model.errors import FarmError
from qvdnode.model.ids import UserId
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

LEARN_EVERY_S: Final = 60.0
"""Least time between two reads of one network from the database."""
PATIENCE_S: Final = 5.0
"""How long the database is not asked again after an error."""
SAVE_EVERY_S: Final = 86_400.0
TABLE_MAX: Final = 20_000

K = TypeVar("K")


class FamiliarSources:
    """The table of familiar accounts, filled from the database and written to it."""

    def __init__(self, store: FamiliarStore, clock: Clock, secret: bytes) -> None:
        """`secret` is the key of the accounts' digests."""
        self.table: Final = Familiar()
        self._store = store
        self._clock = clock
        self._secret = secret
        self._one_query = asyncio.Lock()
        self._not_before_s = float("-inf")
        self._learning: dict[str, asyncio.Event] = {}
        """Reads in progress by network; set when they are done."""
        self._learned: OrderedDict[str, float] = OrderedDict()
        """When each network was last read."""
        self._saved: OrderedDict[tuple[UserId, str], float] = OrderedDict()
        """When each user's login from each network was last written."""

    async def learn(self, login_source: LoginSource) -> None:
        """Read which accounts are familiar in this network, unless it was read a moment ago.

        Networks are read one at a time, so that a spray from many addresses does not occupy the
        database. Errors of the database are logged, not raised.
        """
        network = login_source.networks[0].name
        if (others := self._learning.get(network)) is not None:
            await others.wait()
        elif self._clock.monotonic_s() >= self._learned.get(network, float("-inf")) + LEARN_EVERY_S:
            done = self._learning[network] = asyncio.Event()
            try:
                async with self._one_query:
                    await self._read(login_source, network)
            finally:
                del self._learning[network]
                done.set()

    async def _read(self, login_source: LoginSource, network: str) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._not_before_s:
            return
        try:
            logins = await self._store.of_network(network)
        except FarmError as error:
            self._not_before_s = self._clock.monotonic_s() + PATIENCE_S
            log.info("familiar_sources_unknown", extra={"because": str(error)})
            return
        _note(self._learned, network, now_s)
        found = []
        for login in logins:
            digest = account_digest(account_name(login.login, login.tenant), self._secret)
            found.append((LoginSource(digest, login_source.networks), now_s - login.age_s))
        self.table.learn(found, now_s)

    async def save(self, user_id: UserId, login_source: LoginSource) -> None:
        """Write a login to the database once a day; errors are logged, not raised."""
        pair = (user_id, login_source.networks[0].name)
        now_s = self._clock.monotonic_s()
        if now_s - self._saved.get(pair, float("-inf")) < SAVE_EVERY_S:
            return
        try:
            await self._store.note(*pair)
        except FarmError as error:  # the next login writes it
            log.info("familiar_source_not_saved", extra={"user": user_id, "because": str(error)})
            return
        _note(self._saved, pair, now_s)


def _note(table: OrderedDict[K, float], key: K, now_s: float) -> None:
    table.pop(key, None)
    table[key] = now_s
    if len(table) > TABLE_MAX:
        table.popitem(last=False)
