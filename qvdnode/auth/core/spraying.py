"""Slows down a source that fails with many accounts: one password tried on each of them. Pure.

What tells an attacker from a school behind one address is not how many fail, but who never
succeeds: somebody who mistypes is in a few seconds later, and then no longer counts. So what counts
are *accounts that failed and have not logged in since*, and a source may have more of them the more
accounts have logged in from there. Beyond that, one attempt at a time is checked, and after each
failure the source pauses.

Three things keep the honest in. Accounts that have logged in from the source lately are counted
apart from all others, so that a stranger who sprays from behind the same address slows down only
other strangers; an attempt that finds too many others unanswered waits for their answers instead of
being refused, so that hundreds may arrive in the same second; and the pause is short enough for one
of few who wait to have a turn, see `Slowed`.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from qvdnode.auth.core.delay import delay_s
from qvdnode.auth.core.familiar import Familiar
from qvdnode.auth.core.login_source import LoginSource
from qvdnode.model.source_network import SourceNetwork

FAMILIAR_PER_FAILURE: Final = 10
"""So many accounts that have logged in from a source allow one more that fails: 10 % of people
mistype, and at any moment nearly all of these have corrected it already."""
KEPT_S: Final = 3_600.0
"""How long a failed account counts that does not log in. Whoever stays below the limit tries 20
accounts an hour, and 1,000 in two days; whoever does not, six a minute, and 1,000 in 3 hours."""
PAUSE_MAX_S: Final = 10.0
"""The longest pause of a source after a failure. A longer one would slow a spray down further, and
would keep the right password of somebody behind the same address waiting as much longer."""
CHECK_S: Final = 0.1
"""About how long one check takes."""
RECORDS_MAX: Final = 4_096
"""Networks remembered. To push one out takes as many others that really fail, each by a hash."""


class Verdict(Enum):
    """What an attempt may do now."""

    GO = "go"
    WAIT_FOR_OTHERS = "wait for others"
    """Too many are being checked: decide again when one of them has been answered."""


@dataclass(frozen=True, slots=True)
class Slowed:
    """Too many accounts have failed: one attempt at a time may be checked, and not at once.

    Whoever decides lets those that wait draw lots, a newcomer among them: if the first to come were
    taken, who asks most often would be.
    """

    wait_s: float
    """Until the next one may be checked; 0 for whoever has won."""


@dataclass(slots=True)
class _Record:
    """What one network does, either its familiar accounts or all others."""

    failed: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    """When each account failed last, the oldest first."""
    pending: Counter[bytes] = field(default_factory=Counter)
    """Attempts being checked, by account."""
    last_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ClassifiedSource:
    """Where an attempt is counted: its networks, and which of their two records."""

    login_source: LoginSource
    familiar: bool


class Spraying:
    """The table of sources that fail."""

    def __init__(self, familiar: Familiar, *, free_accounts: int, delay_max_s: float) -> None:
        self._familiar = familiar
        self._free = free_accounts
        self._pause_max_s = min(delay_max_s, PAUSE_MAX_S)
        self._records: OrderedDict[tuple[str, bool], _Record] = OrderedDict()

    def classify(self, login_source: LoginSource, now_s: float) -> ClassifiedSource:
        """Where this attempt counts."""
        return ClassifiedSource(login_source, self._familiar.knows(login_source, now_s))

    def verdict(self, classified: ClassifiedSource, now_s: float) -> Verdict | Slowed:
        """Whether an attempt may be checked now."""
        found = [
            self._verdict(classified, network, now_s)
            for network in classified.login_source.networks
        ]
        waits_s = [one.wait_s for one in found if isinstance(one, Slowed)]
        if waits_s:
            return Slowed(max(waits_s))
        return Verdict.WAIT_FOR_OTHERS if Verdict.WAIT_FOR_OTHERS in found else Verdict.GO

    def begin(self, classified: ClassifiedSource) -> None:
        """An attempt is being checked; `failed`, `succeeded` or `not_checked` must follow."""
        for network in classified.login_source.networks:
            key = (network.name, classified.familiar)
            record = self._records.setdefault(key, _Record())
            self._records.move_to_end(key)
            record.pending[classified.login_source.account] += 1
        self._forget_oldest()

    def failed(self, classified: ClassifiedSource, now_s: float) -> None:
        """The attempt was wrong."""
        for network in classified.login_source.networks:
            record = self._end(classified, network)
            record.failed.pop(classified.login_source.account, None)
            record.failed[classified.login_source.account] = now_s
            record.last_s = now_s

    def succeeded(self, classified: ClassifiedSource, now_s: float) -> None:
        """The attempt was right: the account is familiar now, and its failures do not count."""
        for network in classified.login_source.networks:
            self._end(classified, network)
            for familiar in (False, True):
                record = self._records.get((network.name, familiar))
                if record is not None:
                    record.failed.pop(classified.login_source.account, None)
                    self._drop_if_empty(network, familiar=familiar)
        self._familiar.note(classified.login_source, now_s)

    def not_checked(self, classified: ClassifiedSource) -> None:
        """The attempt was not judged."""
        for network in classified.login_source.networks:
            self._end(classified, network)
            self._drop_if_empty(network, familiar=classified.familiar)

    def __len__(self) -> int:
        """How many records there are."""
        return len(self._records)

    def _verdict(
        self, classified: ClassifiedSource, network: SourceNetwork, now_s: float
    ) -> Verdict | Slowed:
        record = self._records.get((network.name, classified.familiar))
        if record is None:
            return Verdict.GO
        _forget_old(record, now_s)
        familiar_share = self._familiar.count(network.name) // FAMILIAR_PER_FAILURE
        allowed = self._free * network.multiplier + familiar_share
        if len(record.failed) >= allowed:
            return self._slowed(record, allowed, now_s)
        open_accounts = len(record.failed.keys() | record.pending.keys())
        known = (
            classified.login_source.account in record.failed
            or classified.login_source.account in record.pending
        )
        return Verdict.GO if known or open_accounts < allowed else Verdict.WAIT_FOR_OTHERS

    def _slowed(self, record: _Record, allowed: int, now_s: float) -> Slowed:
        delay = delay_s(len(record.failed), free=allowed, delay_max_s=self._pause_max_s)
        wait_s = max(0.0, record.last_s + delay - now_s)
        return Slowed(max(wait_s, CHECK_S) if record.pending else wait_s)

    def _end(self, classified: ClassifiedSource, network: SourceNetwork) -> _Record:
        record = self._records[network.name, classified.familiar]
        record.pending[classified.login_source.account] -= 1
        if not record.pending[classified.login_source.account]:
            del record.pending[classified.login_source.account]
        return record

    def _drop_if_empty(self, network: SourceNetwork, *, familiar: bool) -> None:
        record = self._records.get((network.name, familiar))
        if record is not None and not record.failed and not record.pending:
            del self._records[network.name, familiar]

    def _forget_oldest(self) -> None:
        """Keep the table in its bounds; records with attempts that are being checked stay."""
        spare = len(self._records) - RECORDS_MAX
        if spare > 0:
            idle = [key for key, record in self._records.items() if not record.pending]
            for key in idle[:spare]:
                del self._records[key]


def _forget_old(record: _Record, now_s: float) -> None:
    while record.failed:
        account, at_s = next(iter(record.failed.items()))
        if now_s - at_s <= KEPT_S:
            break
        del record.failed[account]
