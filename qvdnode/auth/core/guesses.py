"""Failed guesses of one account from one source, and the wait that they cost. Pure.

A guess is counted before it is checked and taken back if it was right, so that a thousand guesses
at once get no further than a thousand in sequence. The same wrong password a few times within a
short while is one guess: old clients send it five times without asking their user.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from qvdnode.auth.core.delay import delay_s
from qvdnode.auth.core.login_source import LoginSource

FORGOTTEN_AFTER_S: Final = 900.0
TABLE_MAX: Final = 20_000
REPEATS_MAX: Final = 5
"""How often the same credentials count as one guess; QVD's clients send them so often."""
REPEAT_WINDOW_S: Final = 60.0
"""From the first of them; enough for five connections over a slow line."""
WRONG_MAX: Final = 5
"""Wrong credentials stored for one account and source, so that memory is bounded."""


@dataclass(slots=True)
class _WrongGuess:
    """One wrong guess and how often it was sent."""

    first_s: float
    times: int = 1


@dataclass(slots=True)
class _Failures:
    """Failed guesses of one account from one network."""

    count: int = 0
    last_s: float = 0.0
    wrong: dict[bytes, _WrongGuess] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Guess:
    """A counted guess, with what `undo` needs."""

    login_source: LoginSource
    at_s: float
    before_s: tuple[float, ...]
    """Time of the guess before, for each network."""


class Guesses:
    """The table of failed guesses."""

    def __init__(self, *, free: int, delay_max_s: float) -> None:
        self._free = free
        self._delay_max_s = delay_max_s
        self._forgotten_after_s = max(FORGOTTEN_AFTER_S, 2 * delay_max_s)
        self._table: OrderedDict[tuple[bytes, str], _Failures] = OrderedDict()

    def is_repeat(self, login_source: LoginSource, key: bytes, now_s: float) -> bool:
        """Whether these credentials were found wrong a moment ago; counts the repetition.

        `key` identifies the credentials (`VerifiedCache.key`). A repetition may be checked even
        while the next guess must wait, since its answer tells nothing new.
        """
        failures = self._table.get((login_source.account, login_source.networks[0].name))
        sent = None if failures is None else failures.wrong.get(key)
        if sent is None or sent.times >= REPEATS_MAX or now_s - sent.first_s > REPEAT_WINDOW_S:
            return False
        sent.times += 1
        return True

    def wait_s(self, login_source: LoginSource, now_s: float) -> float:
        """How long the next guess must wait; 0 when it need not."""
        return max(
            self._wait_s(login_source, index, now_s) for index in range(len(login_source.networks))
        )

    def count(self, login_source: LoginSource, now_s: float) -> Guess:
        """Count a guess as a failure."""
        before = []
        for network in login_source.networks:
            failures = self._table.pop((login_source.account, network.name), None)
            if failures is None or now_s - failures.last_s > self._forgotten_after_s:
                failures = _Failures()
            self._table[login_source.account, network.name] = failures
            before.append(failures.last_s)
            failures.count += 1
            failures.last_s = now_s
        while len(self._table) > TABLE_MAX:
            self._table.popitem(last=False)
        return Guess(login_source, now_s, tuple(before))

    def found_wrong(self, login_source: LoginSource, key: bytes, now_s: float) -> None:
        """Store the key of a counted guess, so that its repetitions are not counted."""
        failures = self._table.get((login_source.account, login_source.networks[0].name))
        if failures is None:
            return
        failures.wrong.pop(key, None)
        failures.wrong[key] = _WrongGuess(now_s)
        if len(failures.wrong) > WRONG_MAX:
            del failures.wrong[next(iter(failures.wrong))]

    def undo(self, guess: Guess) -> None:
        """Undo a guess that was right, or was not checked."""
        for network, before_s in zip(guess.login_source.networks, guess.before_s, strict=True):
            failures = self._subtract(guess.login_source, network.name, 1)
            if failures is not None and failures.last_s == guess.at_s:
                failures.last_s = before_s

    def forgive(self, login_source: LoginSource) -> None:
        """Forget this source's failures; other sources in the same wide network keep theirs."""
        failures = self._table.get((login_source.account, login_source.networks[0].name))
        if failures is not None:
            count = failures.count
            for network in login_source.networks:
                self._subtract(login_source, network.name, count)

    def _subtract(self, login_source: LoginSource, network: str, count: int) -> _Failures | None:
        """Subtract failures of a network; returns those that are left, None if there are none."""
        failures = self._table.get((login_source.account, network))
        if failures is None:
            return None
        failures.count -= count
        if failures.count <= 0:
            del self._table[login_source.account, network]
            return None
        return failures

    def _wait_s(self, login_source: LoginSource, index: int, now_s: float) -> float:
        network = login_source.networks[index]
        failures = self._table.get((login_source.account, network.name))
        if failures is None:
            return 0.0
        free = self._free * network.multiplier
        delay = delay_s(failures.count, free=free, delay_max_s=self._delay_max_s)
        return max(0.0, failures.last_s + delay - now_s)
