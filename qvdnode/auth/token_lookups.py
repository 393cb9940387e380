"""Looks up tokens in the database that nobody remembers: a few at a time, in fair order.

A token cannot be guessed, so nobody is refused for the tokens that others behind the same address
send. But a flood of rubbish must not take the database from everybody else: so the sources take
turns, one lookup each, and a source pauses after a token that is worth nothing.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from qvdnode.auth.core.fair_queue import FairQueue
from qvdnode.model.errors import Unavailable
from qvdnode.model.source_network import source_networks
from qvdnode.runtime.clock import Clock

LOOKUPS_AT_ONCE: Final = 2
"""Of the ten connections to the database."""
PAUSE_S: Final = 0.003
"""After a invalid token, while others of its source wait: whoever comes behind 64 of them, as
many as the administrators' port lets one source have, waits for a quarter of a second."""
WAITING_MAX: Final = 1_024
"""Lookups of one source that wait, and keep a connection each; the last waits for four seconds."""
INVALID_S: Final = 60.0
"""How long a invalid token is known as such; it cannot become good, unless an administrator
restores a backup of the database."""
INVALID_MAX: Final = 10_000
"""Worthless tokens remembered, by digests of 32 bytes."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Waiter:
    """Somebody who waits for a turn. It may come after the waiter was cancelled and before it
    notices, so `has_turn` decides what is to be undone."""

    begun: asyncio.Future[None]
    has_turn: bool = False


class TokenLookups:
    """The queue in front of the database, and what lately came out of it as invalid."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue: FairQueue[Waiter] = FairQueue(at_once=LOOKUPS_AT_ONCE)
        self._invalid: OrderedDict[bytes, float] = OrderedDict()

    async def find(
        self,
        key: bytes,
        source: str,
        look_up: Callable[[], Awaitable[T | None]],
        *,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> T | None:
        """What `look_up` finds for the token with this digest; None for a invalid one.

        A invalid token again within a minute costs no lookup. `is_wanted` is asked when the turn
        has come: nothing is looked up for a caller that has left. Raises what `look_up` raises, and
        Unavailable for such a caller and when too many of the source wait.
        """
        if self._is_invalid(key):
            return None
        network = source_networks(source)[0].name
        if self._queue.waiting(network) >= WAITING_MAX:
            raise Unavailable("Too many logins at once; try again in a moment.")
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
