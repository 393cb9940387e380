"""Knows which accounts have logged in from which network lately. Pure."""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Final

from qvdnode.auth.core.login_source import LoginSource

FAMILIAR_S: Final = 7 * 86_400.0
"""A week: users at a workplace or a school log in at least once a week."""
TABLE_MAX: Final = 60_000
"""Pairs of account and network; 20,000 people on IPv6."""


class Familiar:
    """A bounded table of accounts by network."""

    def __init__(self) -> None:
        self._table: OrderedDict[tuple[str, bytes], float] = OrderedDict()
        self._by_network: Counter[str] = Counter()

    def note(self, login_source: LoginSource, now_s: float) -> None:
        """Record a login."""
        for network in login_source.networks:
            self._put((network.name, login_source.account), now_s)
        self._prune(now_s)

    def learn(self, logins: Iterable[tuple[LoginSource, float]], now_s: float) -> None:
        """Record logins at these times, as read from the database."""
        learned = False
        for login_source, at_s in logins:
            for network in login_source.networks:
                pair = (network.name, login_source.account)
                if at_s > self._table.get(pair, float("-inf")):
                    self._put(pair, at_s)
                    learned = True
        if learned:  # keep the oldest first
            self._table = OrderedDict(sorted(self._table.items(), key=lambda item: item[1]))
            self._prune(now_s)

    def knows(self, login_source: LoginSource, now_s: float) -> bool:
        """Whether the account has logged in from the narrowest of these networks lately."""
        at_s = self._table.get((login_source.networks[0].name, login_source.account))
        return at_s is not None and now_s - at_s <= FAMILIAR_S

    def count(self, network: str) -> int:
        """Return the number of accounts that have logged in from there."""
        return self._by_network[network]

    def _put(self, pair: tuple[str, bytes], at_s: float) -> None:
        if self._table.pop(pair, None) is None:
            self._by_network[pair[0]] += 1
        self._table[pair] = at_s

    def _prune(self, now_s: float) -> None:
        while self._table:
            oldest = next(iter(self._table))
            if len(self._table) <= TABLE_MAX and now_s - self._table[oldest] <= FAMILIAR_S:
                break
            del self._table[oldest]
            network = oldest[0]
            self._by_network[network] -= 1
            if not self._by_network[network]:
                del self._by_network[network]
