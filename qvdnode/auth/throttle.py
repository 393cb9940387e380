"""Slows down guessing: of one account from one source, and from one source over accounts.

The counting is core/'s; here it meets the clock and those who wait for their turn.
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
"""As many times the free failures of one account are free for all behind one source."""
WAITING_MAX: Final = 1_024
"""Logins of one source that wait for their turn; a school in the first minute of its day."""
HOLD_S: Final = 45.0
"""How long a login waits for its turn at a source that is slowed; then its client is to ask again.
Clients wait for a minute at least."""
HELD_MAX: Final = 1_024
"""Logins of one source that are held so; each keeps a connection."""
HELD_IN_ALL_MAX: Final = 4_096
DRAW_S: Final = 0.25
"""Those held draw lots: each asks again at a random moment of this span, and the first goes."""
ALL_ACCOUNTS: Final = b""
"""Stands for an account where all of a source are counted together."""


class Outcome(Enum):
    """How a turn ended."""

    NOT_CHECKED = "not checked"
    RIGHT = "right"
    WRONG = "wrong"


@dataclass(slots=True)
class Turn:
    """The right to check one login; who has it says how it went."""

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
        """`secret` is the key of the accounts' digests, that of `familiar` too."""
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
        """Logins that are held, by the widest network of their source."""

    def login_source(self, account: str, source: str) -> LoginSource:
        """Who tries this account from this address."""
        return LoginSource(account_digest(account, self._secret), source_networks(source))

    def attempt(self, login_source: LoginSource, key: bytes) -> Guess | None:
        """Count a guess before it is checked; None for one that was found wrong a moment ago.

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
        """The guess was wrong: the same key again is the same guess."""
        self._guesses.found_wrong(login_source, key, self._clock.monotonic_s())

    def undo(self, guess: Guess | None) -> None:
        """The guess was right, or was not checked."""
        if guess is not None:
            self._guesses.undo(guess)

    def forgive(self, login_source: LoginSource) -> None:
        """The account has logged in from there: its failures there are forgotten."""
        self._guesses.forgive(login_source)
        self._unjudged.forgive(login_source)

    @contextlib.asynccontextmanager
    async def turn(self, login_source: LoginSource) -> AsyncIterator[Turn]:
        """Wait until a login of this source may be checked, and count how it goes.

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
        """Whether remembered logins may answer.

        What was not judged (the database was away, or too many logins waited) does not count as a
        failure, since its user may have been right. But each such attempt was compared with the
        memory, so whoever makes many of them gets no more answers from there.
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
        """The guess was compared with the memory alone, and was not there."""
        now_s = self._clock.monotonic_s()
        if not self._unjudged.is_repeat(login_source, key, now_s):
            self._unjudged.count(login_source, now_s)
            self._unjudged.found_wrong(login_source, key, now_s)
            self._unjudged_of_source.count(LoginSource(ALL_ACCOUNTS, login_source.networks), now_s)

    async def _classify(self, login_source: LoginSource) -> ClassifiedSource:
        """Where a login counts; if it matters, the database tells whether it is familiar."""
        now_s = self._clock.monotonic_s()
        classified = self._spraying.classify(login_source, now_s)
        if classified.familiar or self._spraying.verdict(classified, now_s) is Verdict.GO:
            return classified
        await self._familiar.learn(login_source)
        return self._spraying.classify(login_source, self._clock.monotonic_s())

    async def _begin(self, classified: ClassifiedSource, hold_until_s: float) -> None:
        woken = False
        if _queue_of(classified) in self._waiting:  # behind those who came before
            await self._wait(classified, first=False)
            woken = True
        while True:
            verdict = self._spraying.verdict(classified, self._clock.monotonic_s())
            if verdict is Verdict.GO:
                break
            if isinstance(verdict, Slowed):
                self._wake_next(classified)
                if await self._wins_draw(classified, verdict.wait_s, hold_until_s):
                    break
            else:
                await self._wait(classified, first=woken)
                woken = True
        self._spraying.begin(classified)
        self._wake_next(classified)  # there may be room for one more

    async def _wins_draw(
        self, classified: ClassifiedSource, wait_s: float, hold_until_s: float
    ) -> bool:
        """Wait until the next login of a slowed source may be checked, and draw lots for it.

        Raises Throttled where that is too late, Unavailable when too many are held already.
        """
        if self._clock.monotonic_s() + wait_s > hold_until_s:
            require_no_wait(wait_s)
        with self._holding(classified.login_source.networks[-1].name):
            await self._clock.sleep(wait_s + self._rng.uniform(0, DRAW_S))
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
    """Raise Throttled if there is a wait; people are told whole seconds, never 0."""
    if wait_s > 0:
        raise Throttled(
            f"Too many failed logins; try again in {math.ceil(wait_s)} s.", retry_after_s=wait_s
        )


def _queue_of(classified: ClassifiedSource) -> tuple[str, bool]:
    """All who share a network wait in one queue."""
    return classified.login_source.networks[-1].name, classified.familiar
