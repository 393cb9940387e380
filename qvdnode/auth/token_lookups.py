"""Looks up uncached tokens in the database, a few at a time, in fair order between sources.

A token cannot be guessed, so nobody is refused because others behind the same address send invalid
ones. But a flood of invalid tokens must not occupy the database: the sources take turns with one
lookup each, and a source pauses after an invalid token.
"""

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from qvdnode.auth.core.fair_queue import FairQueue
from qvdnode.model.errors import Unavailable
from qvdnode.model.source_network import SourceNetwork, source_networks
from qvdnode.runtime.clock import Clock

LOOKUPS_AT_ONCE: Final = 2
"""Out of the pool's ten connections."""
PAUSE_S: Final = 0.003
"""Pause after an invalid token while others of its source wait. Behind 64 invalid ones, as many as
the administrators' port lets one source have, a lookup waits for a quarter of a second."""
WAITING_MAX: Final = 1_024
"""Waiting lookups of one source; each holds a connection. The last one waits for 4 s. For wider
networks the limit is multiplied, see `source_networks`."""
WAITING_IN_ALL_MAX: Final = 4_096
"""Waiting lookups of all sources. Their connections count as neither idle nor unauthenticated, so
without this limit a few addresses could fill the clients' port with them."""
INVALID_S: Final = 60.0
"""How long an invalid token is cached. It can become valid only if a backup is restored."""
INVALID_MAX: Final = 10_000
"""Invalid tokens in the cache, as digests of 32 bytes."""

IN_ALL: Final = ""
"""Stands for a network where all sources are counted together."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Waiter:
    """A lookup that waits for its turn.

    The turn may come after the waiter was cancelled but before it runs again, so `has_turn` tells
    which clean-up is needed.
    """

    begun: asyncio.Future[None]
    has_turn: bool = False


class TokenLookups:
    """The queue of lookups, and a cache of tokens that were lately found invalid."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue: FairQueue[Waiter] = FairQueue(at_once=LOOKUPS_AT_ONCE)
        self._open: Counter[str] = Counter()
        """Lookups that wait or run, by network, and by IN_ALL together."""
        self._invalid: OrderedDict[bytes, float] = OrderedDict()

    async def find(
        self,
        key: bytes,
        source: str,
        look_up: Callable[[], Awaitable[T | None]],
        *,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> T | None:
        """Return what `look_up` finds for the token with this digest; None for an invalid one.

        An invalid token costs no second lookup within a minute. `is_wanted` is called when the turn
        comes, so that nothing is looked up for a caller that has left. Raises what `look_up`
        raises, and Unavailable for such a caller and when too many wait, of the source or in all.
        """
        if self._is_invalid(key):
            return None
        networks = source_networks(source)
        network = networks[0].name
        with self._counted(networks):
            return await self._find_in_turn(key, network, look_up, is_wanted)

    async def _find_in_turn(
        self,
        key: bytes,
        network: str,
        look_up: Callable[[], Awaitable[T | None]],
        is_wanted: Callable[[], bool],
    ) -> T | None:
        async with self._turn(network):
            if not is_wanted():
                raise Unavailable("The caller has left.")
            if self._is_invalid(key):
                return None
            found = await look_up()
            if found is None:
                self._note_invalid(key)
                if self._queue.waiting(network):
                    await self._clock.sleep(PAUSE_S)
        return found

    @contextlib.contextmanager
    def _counted(self, networks: Sequence[SourceNetwork]) -> Iterator[None]:
        limits = {one.name: WAITING_MAX * one.multiplier for one in networks}
        limits[IN_ALL] = WAITING_IN_ALL_MAX
        if any(self._open[name] >= limit for name, limit in limits.items()):
            raise Unavailable("Too many logins at once; try again in a moment.")
        self._open.update(limits.keys())
        try:
            yield
        finally:
            self._open.subtract(limits.keys())
            for name in limits:
                if not self._open[name]:
                    del self._open[name]

    @contextlib.asynccontextmanager
    async def _turn(self, network: str) -> AsyncIterator[None]:
        waiter = Waiter(asyncio.get_running_loop().create_future())
        self._queue.enter(network, waiter)
        self._begin_next()
        try:
            await waiter.begun
            yield
        finally:
            if waiter.has_turn:
                self._queue.end(network)
            else:
                self._queue.withdraw(network, waiter)
            self._begin_next()

    def _begin_next(self) -> None:
        while (waiter := self._queue.begin_next()) is not None:
            waiter.has_turn = True
            if not waiter.begun.done():
                waiter.begun.set_result(None)

    def _is_invalid(self, key: bytes) -> bool:
        until_s = self._invalid.get(key)
        return until_s is not None and self._clock.monotonic_s() < until_s

    def _note_invalid(self, key: bytes) -> None:
        self._invalid.pop(key, None)
        self._invalid[key] = self._clock.monotonic_s() + INVALID_S
        if len(self._invalid) > INVALID_MAX:
            self._invalid.popitem(last=False)
