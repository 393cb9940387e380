"""Slows down guessing: after some failures of one account from one address, each costs a wait."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from qvdnode.model.errors import Throttled
from qvdnode.runtime.clock import Clock

FIRST_DELAY_S: Final = 1.0
FORGOTTEN_AFTER_S: Final = 900.0
TABLE_MAX: Final = 20_000
MAX_DOUBLINGS: Final = 20

Key = tuple[str, str]
"""Account and source."""


@dataclass(slots=True)
class Failures:
    """What is known of one account from one address."""

    count: int = 0
    last_s: float = 0.0


class Throttle:
    """Slows down, in one of two ways, whoever fails.

    `attempt` counts each one as a failure until it is known to have succeeded, so that a thousand
    attempts at once get no more guesses than one after another. Where many share a key and nothing
    can be guessed, `refuse_early` before and `failed` after count failures alone.
    """

    def __init__(self, clock: Clock, *, free_failures: int, delay_max_s: float) -> None:
        self._clock = clock
        self._free = free_failures
        self._delay_max_s = delay_max_s
        self._table: OrderedDict[Key, Failures] = OrderedDict()

    def attempt(self, account: str, source: str) -> None:
        """Count an attempt; raises Throttled, without counting, while it must wait."""
        self.refuse_early(account, source)
        self.failed(account, source)

    def refuse_early(self, account: str, source: str) -> None:
        """Raise Throttled while an attempt must wait."""
        failures = self._table.get((account, source))
        if failures is None:
            return
        now_s = self._clock.monotonic_s()
        wait_s = failures.last_s + self._delay_s(failures.count) - now_s
        if wait_s > 0:
            self._table.move_to_end((account, source))
            raise Throttled(
                f"Too many failed logins; try again in {wait_s:.0f} s.", retry_after_s=wait_s
            )

    def failed(self, account: str, source: str) -> None:
        """Count a failure."""
        now_s = self._clock.monotonic_s()
        failures = self._table.pop((account, source), None)
        if failures is None or now_s - failures.last_s > FORGOTTEN_AFTER_S:
            failures = Failures()
        self._table[account, source] = failures
        if len(self._table) > TABLE_MAX:
            self._table.popitem(last=False)
        failures.count += 1
        failures.last_s = now_s

    def succeeded(self, account: str, source: str) -> None:
        """Forget the failures."""
        self._table.pop((account, source), None)

    def undo(self, account: str, source: str) -> None:
        """Take back an attempt that could not be judged."""
        failures = self._table.get((account, source))
        if failures is not None and failures.count > 0:
            failures.count -= 1

    def _delay_s(self, count: int) -> float:
        if count < self._free:
            return 0.0
        doublings = min(count - self._free, MAX_DOUBLINGS)
        return min(FIRST_DELAY_S * 2.0**doublings, self._delay_max_s)
