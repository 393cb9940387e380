"""Slows down password guessing, per account and source, and per source over all accounts.

core/guesses.py and core/spraying.py decide. This module reads the clock and lets logins wait.
"""

import asyncio
import contextlib
import math
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from qvdnode.auth.core.guesses import Guess, Guesses
from qvdnode.auth.core.login_source import LoginSource, account_digest
from qvdnode.auth.core.spraying import ClassifiedSource, Slowed, Spraying, Verdict
from qvdnode.auth.familiar_sources import FamiliarSources
from qvdnode.auth.settings import AuthSettings
from qvdnode.model.errors import Throttled, Unavailable
from qvdnode.model.source_network import source_networks
from qvdnode.runtime.clock import Clock

MANY: Final = 20
"""Unverified attempts free for a whole source, as a multiple of those free for one account."""
WAITING_MAX: Final = 1_024
"""Logins of one source that wait for their turn: a whole school that logs in at once."""
HOLD_S: Final = 45.0
"""How long a login waits for its turn at a slowed source before it is refused with a retry time.
Clients wait for an answer for at least a minute."""
HELD_MAX: Final = 1_024
"""Logins of one slowed source that wait; each keeps its connection open."""
HELD_IN_ALL_MAX: Final = 4_096
DRAW_S: Final = 0.25
"""Waiting logins retry at a random moment of this span, so that the next one is drawn by lot."""
ALL_ACCOUNTS: Final = b""
"""The account under which all accounts of a source are counted together."""


class Outcome(Enum):
    """The result of a checked login."""

    NOT_CHECKED = "not checked"
    RIGHT = "right"
    WRONG = "wrong"


@dataclass(slots=True)
class Turn:
    """Permission to check one login; its holder sets the outcome."""

    outcome: Outcome = Outcome.NOT_CHECKED


class LoginThrottle:
    """Slows down guessing of passwords."""

    def __init__(
        self,
        clock: Clock,
        settings: AuthSettings,
        secret: bytes,
        familiar: FamiliarSources,
        rng: random.Random,
    ) -> None:
        """`secret` is the key of the accounts' digests, the same as that of `familiar`."""
        self._clock = clock
        self._secret = secret
        self._rng = rng
        free, delay_max_s = settings.free_failures, settings.delay_max_s
        self._guesses = Guesses(free=free, delay_max_s=delay_max_s)
        self._unjudged = Guesses(free=free, delay_max_s=delay_max_s)
        self._unjudged_of_source = Guesses(free=MANY * free, delay_max_s=delay_max_s)
        self._familiar = familiar
        self._spraying = Spraying(
            familiar.table, free_accounts=settings.source_free_accounts, delay_max_s=delay_max_s
        )
        self._waiting: dict[tuple[str, bool], deque[asyncio.Future[None]]] = {}
        self._held: Counter[str] = Counter()
        """Number of waiting logins, by the widest network of their source."""

    def login_source(self, account: str, source: str) -> LoginSource:
        """Return the account and the networks of this address."""
        return LoginSource(account_digest(account, self._secret), source_networks(source))

    def attempt(self, login_source: LoginSource, key: bytes) -> Guess | None:
        """Count a guess before it is checked; None for credentials found wrong a moment ago.

        Raises Throttled, without counting, while this account must wait for this source.
        """
        now_s = self._clock.monotonic_s()
        if self._guesses.is_repeat(login_source, key, now_s):
            return None
        self.check_wait(login_source)
        return self._guesses.count(login_source, now_s)

    def check_wait(self, login_source: LoginSource) -> None:
        """Raise Throttled while this account must wait for this source."""
        require_no_wait(self._guesses.wait_s(login_source, self._clock.monotonic_s()))

    def found_wrong(self, login_source: LoginSource, key: bytes) -> None:
        """Note that the guess was wrong, so that a repetition of it is not counted again."""
        self._guesses.found_wrong(login_source, key, self._clock.monotonic_s())

    def undo(self, guess: Guess | None) -> None:
        """Take back a counted guess that was right or was not checked."""
        if guess is not None:
            self._guesses.undo(guess)

    def forgive(self, login_source: LoginSource) -> None:
        """Forget the account's failures at this source, since it has logged in from there."""
        self._guesses.forgive(login_source)
        self._unjudged.forgive(login_source)

    @contextlib.asynccontextmanager
    async def turn(self, login_source: LoginSource) -> AsyncIterator[Turn]:
        """Wait until a login of this source may be checked, and count its outcome.

        Raises Throttled after HOLD_S without a turn at a source that is slowed, Unavailable when
        too many wait already.
        """
        hold_until_s = self._clock.monotonic_s() + HOLD_S
        classified = await self._classify(login_source)
        await self._begin(classified, hold_until_s)
        turn = Turn()
        try:
            yield turn
        finally:
            match turn.outcome:
                case Outcome.RIGHT:
                    self._spraying.succeeded(classified, self._clock.monotonic_s())
                case Outcome.WRONG:
                    self._spraying.failed(classified, self._clock.monotonic_s())
                case Outcome.NOT_CHECKED:
                    self._spraying.not_checked(classified)
            self._wake_next(classified)

    def may_use_cache(self, login_source: LoginSource) -> bool:
        """Whether a login may be answered from the cache.

        An attempt that was not checked (the database was away, or the hasher's queue was full) is
        no failure, since its password may have been right. But each one was compared with the
        cache, so many of them would be guesses: then the cache answers no more.
        """
        now_s = self._clock.monotonic_s()
        if self._unjudged.wait_s(login_source, now_s) > 0:
            return False
        crowd = LoginSource(ALL_ACCOUNTS, login_source.networks)
        return (
            self._familiar.table.knows(login_source, now_s)
            or self._unjudged_of_source.wait_s(crowd, now_s) == 0
        )

    def count_unverified(self, login_source: LoginSource, key: bytes) -> None:
        """Count a guess that was compared with the cache only, and was not in it."""
        now_s = self._clock.monotonic_s()
        if not self._unjudged.is_repeat(login_source, key, now_s):
            self._unjudged.count(login_source, now_s)
            self._unjudged.found_wrong(login_source, key, now_s)
            self._unjudged_of_source.count(LoginSource(ALL_ACCOUNTS, login_source.networks), now_s)

    async def _classify(self, login_source: LoginSource) -> ClassifiedSource:
        """Classify a login; the database is asked for familiar accounts only if that matters."""
        now_s = self._clock.monotonic_s()
        classified = self._spraying.classify(login_source, now_s)
        if classified.familiar or self._spraying.verdict(classified, now_s) is Verdict.GO:
            return classified
        # Time has passed: others failed or logged in meanwhile, so it is classified again below.
        await self._familiar.learn(login_source)
        return self._spraying.classify(login_source, self._clock.monotonic_s())

    async def _begin(self, classified: ClassifiedSource, hold_until_s: float) -> None:
        woken = False
        # Even if a check is free now: it was freed for one who waits.
        if _queue_of(classified) in self._waiting:  # queue behind earlier logins
            await self._wait(classified, first=False)
            woken = True
        while True:
            verdict = self._spraying.verdict(classified, self._clock.monotonic_s())
            if verdict is Verdict.GO:
                break
            if isinstance(verdict, Slowed):
                self._wake_next(classified)
                if await self._wins_draw(classified, verdict, hold_until_s):
                    break
            else:
                await self._wait(classified, first=woken)
                woken = True
        self._spraying.begin(classified)
        self._wake_next(classified)  # more than one may be checked at a time

    async def _wins_draw(
        self, classified: ClassifiedSource, slowed: Slowed, hold_until_s: float
    ) -> bool:
        """Wait until a slowed source's next check is due; True if this login may use it.

        Raises Throttled where that is too late, Unavailable when too many wait already.
        """
        # Refused now, with the time to wait, rather than held until the client gives up.
        if self._clock.monotonic_s() + slowed.wait_s > hold_until_s:
            require_no_wait(slowed.wait_s)
        # Each login draws a moment, and the earliest takes the check that is due. Serving the
        # longest queue in order would favour who sends most; those who failed draw from later
        # moments.
        lot_s = self._rng.uniform(0, DRAW_S) + (DRAW_S if slowed.has_failed else 0)
        with self._holding(classified.login_source.networks[-1].name):
            await self._clock.sleep(slowed.wait_s + lot_s)
        after = self._spraying.verdict(classified, self._clock.monotonic_s())
        return isinstance(after, Slowed) and after.wait_s == 0

    @contextlib.contextmanager
    def _holding(self, network: str) -> Iterator[None]:
        if self._held[network] >= HELD_MAX or self._held.total() >= HELD_IN_ALL_MAX:
            raise Unavailable("Too many logins at once; try again in a moment.")
        self._held[network] += 1
        try:
            yield
        finally:
            self._held[network] -= 1
            if not self._held[network]:
                del self._held[network]

    async def _wait(self, classified: ClassifiedSource, *, first: bool) -> None:
        key = _queue_of(classified)
        queue = self._waiting.setdefault(key, deque())
        if len(queue) >= WAITING_MAX and not first:
            raise Unavailable("Too many logins at once; try again in a moment.")
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            queue.appendleft(woken)
        else:
            queue.append(woken)
        try:
            await woken
        except asyncio.CancelledError:
            # It was woken and cancelled in the same iteration, so it must pass its turn on.
            if woken.done() and not woken.cancelled():
                self._wake_next(classified)
            raise
        finally:
            with contextlib.suppress(ValueError):
                queue.remove(woken)
            if not queue:
                self._waiting.pop(key, None)

    def _wake_next(self, classified: ClassifiedSource) -> None:
        queue = self._waiting.get(_queue_of(classified), ())
        for woken in queue:
            if not woken.done():
                woken.set_result(None)
                return


def require_no_wait(wait_s: float) -> None:
    """Raise Throttled if the wait is positive; the message gives whole seconds, never 0."""
    if wait_s > 0:
        raise Throttled(
            f"Too many failed logins; try again in {math.ceil(wait_s)} s.", retry_after_s=wait_s
        )


def _queue_of(classified: ClassifiedSource) -> tuple[str, bool]:
    """The key of the queue: one for each widest network and class."""
    return classified.login_source.networks[-1].name, classified.familiar
