"""Logins in browsers: begins, checks and ends them, and issues links that log in once."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from qvdnode.auth.failure_log import FailureLog
from qvdnode.auth.ports import BrowserSessionStore
from qvdnode.auth.token_lookups import TokenLookups
from qvdnode.auth.verified import SECRET_BYTES, VerifiedCache
from qvdnode.model.browser_session import BrowserSession
from qvdnode.model.errors import NotFound, Unauthenticated, Unavailable
from qvdnode.model.principal import Operator, Principal
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.tokens import digest, new_token

ENDED: Final = "This login has ended; log in again."
BAD_LINK: Final = (
    "This link was used already or has expired; `qvd web link`, or `qvdnode init` on a node,"
    " prints a new one."
)
AGENT_MAX: Final = 200
SEEN_EVERY_S: Final = 60.0
"""How exactly the last use is known: it is written at most this often."""

Owner = TypeVar("Owner", Operator, Principal)


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """How many logins are cached, and how long they are valid while the database is away."""

    size_max: int
    away_s: float


def login_url(host: str, key: str) -> str:
    """Return the link with a key. It stands behind a #, which browsers do not send: no log has it.

    `host` has the port, as in the header `Host`.
    """
    return f"https://{host}/ui/login#{key}"


class BrowserLogins:
    """Checks logins in browsers; each is valid at every node of the farm."""

    def __init__(
        self, store: BrowserSessionStore, clock: Clock, cache: CacheLimits, link_life: timedelta
    ) -> None:
        self._store = store
        self._clock = clock
        self._link_life = link_life
        self._away_s = cache.away_s
        self._lookups = TokenLookups(clock)
        self._failures = FailureLog(clock)
        self._verified: VerifiedCache[BrowserSession] = VerifiedCache(
            secrets.token_bytes(SECRET_BYTES), clock, cache.size_max
        )

    async def begin(
        self, owner: Operator | Principal, *, source: str, agent: str
    ) -> tuple[str, BrowserSession]:
        """Log an owner in; returns the cookie's key, which is not stored, and the login.

        Raises Unauthenticated when the owner's right ended meanwhile, Unavailable.
        """
        key = new_token()
        agent = "".join(char for char in agent if char.isprintable())[:AGENT_MAX]
        session = await self._store.add(owner, digest(key), source=source, agent=agent)
        return key, session

    async def find(
        self,
        key: str,
        owner: type[Owner],
        *,
        source: str = "",
        is_used: bool = True,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> tuple[Owner, BrowserSession]:
        """Return the login of a key and its owner, who must be of the given type.

        `is_used` is False for what a page asks by itself, which does not prolong the login. Raises
        Unauthenticated, and Unavailable if the database is away and the login is not cached. As
        with `Operators`, the database is asked each time, since a login may end at another node.
        """
        cached = self._verified.key(key)
        checkpoint = self._verified.checkpoint()
        look_up = partial(self._store.find, digest(key))
        try:
            if self._known(cached) is None:
                found = await self._lookups.find(cached, source, look_up, is_wanted=is_wanted)
            else:
                found = await look_up()
            if found is not None and is_used and found.unseen_s > SEEN_EVERY_S:
                await self._store.seen(found.id)
        except Unavailable:
            found = self._known(cached)
            if found is None:
                raise
        else:
            self._note(cached, found, checkpoint)
        if found is None or not isinstance(found.owner, owner):
            # Not in the failure log: a page that is still open after its login has ended asks
            # again and again, and the reader of that log would ban its user.
            raise Unauthenticated(ENDED)
        return found.owner, found

    async def end(self, owner: Operator | Principal, session_id: int) -> None:
        """End one of the owner's logins; raises NotFound, Unavailable."""
        await self._store.end(owner, session_id)
        self._verified.forget(lambda known: known.id == session_id)

    async def end_key(self, key: str, owner: type[Owner], *, source: str = "") -> None:
        """End the login of a key, if it is one; raises Unavailable."""
        try:
            found, session = await self.find(key, owner, source=source, is_used=False)
            await self.end(found, session.id)
        except (Unauthenticated, NotFound):
            return

    async def make_link(self, operator: Operator) -> tuple[str, datetime]:
        """Make a one-time link for an administrator; returns its key and when it expires."""
        key = new_token()
        return key, await self._store.add_link(operator, digest(key), self._link_life)

    async def take_link(
        self, key: str, *, source: str = "", is_wanted: Callable[[], bool] = lambda: True
    ) -> Operator:
        """Use up a link; raises Unauthenticated for one that is no more valid, Unavailable."""
        look_up = partial(self._store.take_link, digest(key))
        operator = await self._lookups.find(
            self._verified.key("link", key), source, look_up, is_wanted=is_wanted
        )
        if operator is None:
            self._failures.write(login="", source=source, because="used or unknown link")
            raise Unauthenticated(BAD_LINK)
        return operator

    def _note(self, cached: bytes, found: BrowserSession | None, checkpoint: int) -> None:
        if found is None:
            self._verified.refuse(cached)
            return
        left_s = (found.ends_at - self._clock.now()).total_seconds()
        self._verified.remember(cached, found, checkpoint, good_for_s=left_s)

    def _known(self, cached: bytes) -> BrowserSession | None:
        return self._verified.find(cached, younger_than_s=self._away_s)
