"""Slows down password spraying: a source that tries one password on many accounts. Pure.

Many failures alone do not mean an attack, since a whole school may be behind one address. But a
user who mistypes logs in a few seconds later, and the accounts of an attacker never do. So the
*accounts that failed and have not logged in since* are counted. A source may have more of them the
more accounts have logged in from there. Above that limit one attempt at a time is checked, and
after each failure the source pauses.

Three rules protect honest users at a slowed source.

1. Accounts that have logged in from the source lately (familiar accounts) are counted apart from
   all others, so that an attacker behind the same address does not slow them down.
2. An attempt waits for the results of running checks instead of being refused, so that hundreds of
   users may log in within the same second.
3. The pause is short, so that a waiting user gets a turn in time; see `Slowed`.
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
"""Each group of this many familiar accounts allows one more failed account. About 10 % of users
mistype, and nearly all of them have corrected it a few seconds later."""
KEPT_S: Final = 3_600.0
"""How long a failed account counts if it does not log in. An attacker below the limit tries 20
accounts an hour, or 1,000 in two days; one above it six a minute, or 1,000 in 3 hours."""
PAUSE_MAX_S: Final = 10.0
"""The longest pause of a source after a failure. A longer one would slow down an attack further,
but also the right password of a user behind the same address."""
CHECK_S: Final = 0.1
"""Approximate duration of one check."""
RECORDS_MAX: Final = 4_096
"""Networks in the table. To push one out, an attacker needs this many networks with a failure."""


class Verdict(Enum):
    """What an attempt may do now."""

    GO = "go"
    WAIT_FOR_OTHERS = "wait for others"
    """Too many checks are running: decide again when one of them has ended."""


@dataclass(frozen=True, slots=True)
class Slowed:
    """Too many accounts have failed: one attempt at a time may be checked, after a pause.

    The caller draws the next one by lot among all that wait, including the newest. First come,
    first served would favour whoever sends most attempts. Accounts that have not failed are drawn
    before those that have: whoever knows logins of people at this source could otherwise keep all
    of these people out.
    """

    wait_s: float
    """Time until the next check is due; 0 when it is."""
    has_failed: bool = False
    """Whether this account is among those that have failed."""


@dataclass(slots=True)
class _Record:
    """Failures and running checks of one network, of its familiar accounts or of all others."""

    failed: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    """Time of each account's last failure, the oldest first."""
    pending: Counter[bytes] = field(default_factory=Counter)
    """Number of running checks, by account."""
    last_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ClassifiedSource:
    """A login source, and whether its account is familiar there: the record that counts it."""

    login_source: LoginSource
    familiar: bool


class Spraying:
    """The table of sources with failures or running checks."""

    def __init__(self, familiar: Familiar, *, free_accounts: int, delay_max_s: float) -> None:
        self._familiar = familiar
        self._free = free_accounts
        self._pause_max_s = min(delay_max_s, PAUSE_MAX_S)
        self._records: OrderedDict[tuple[str, bool], _Record] = OrderedDict()

    def classify(self, login_source: LoginSource, now_s: float) -> ClassifiedSource:
        """Tell whether the account is familiar at its source."""
        return ClassifiedSource(login_source, self._familiar.knows(login_source, now_s))

    def verdict(self, classified: ClassifiedSource, now_s: float) -> Verdict | Slowed:
        """Whether an attempt may be checked now."""
        found = [
            self._verdict(classified, network, now_s)
            for network in classified.login_source.networks
        ]
        slowed = [one for one in found if isinstance(one, Slowed)]
        if slowed:
            wait_s = max(one.wait_s for one in slowed)
            return Slowed(wait_s, any(one.has_failed for one in slowed))
        return Verdict.WAIT_FOR_OTHERS if Verdict.WAIT_FOR_OTHERS in found else Verdict.GO

    def begin(self, classified: ClassifiedSource) -> None:
        """Count a check that begins; `failed`, `succeeded` or `not_checked` must follow."""
        for network in classified.login_source.networks:
            key = (network.name, classified.familiar)
            record = self._records.setdefault(key, _Record())
            self._records.move_to_end(key)
            record.pending[classified.login_source.account] += 1
        self._forget_oldest()

    def failed(self, classified: ClassifiedSource, now_s: float) -> None:
        """End a check whose password was wrong."""
        for network in classified.login_source.networks:
            record = self._end(classified, network)
            record.failed.pop(classified.login_source.account, None)
            record.failed[classified.login_source.account] = now_s
            record.last_s = now_s

    def succeeded(self, classified: ClassifiedSource, now_s: float) -> None:
        """End a check whose password was right: its failures are removed, it is familiar now."""
        for network in classified.login_source.networks:
            self._end(classified, network)
            for familiar in (False, True):
                record = self._records.get((network.name, familiar))
                if record is not None:
                    record.failed.pop(classified.login_source.account, None)
                    self._drop_if_empty(network, familiar=familiar)
        self._familiar.note(classified.login_source, now_s)

    def not_checked(self, classified: ClassifiedSource) -> None:
        """End an attempt that was not checked after all."""
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
            has_failed = classified.login_source.account in record.failed
            return Slowed(self._wait_s(record, allowed, now_s), has_failed)
        open_accounts = len(record.failed.keys() | record.pending.keys())
        known = (
            classified.login_source.account in record.failed
            or classified.login_source.account in record.pending
        )
        return Verdict.GO if known or open_accounts < allowed else Verdict.WAIT_FOR_OTHERS

    def _wait_s(self, record: _Record, allowed: int, now_s: float) -> float:
        delay = delay_s(len(record.failed), free=allowed, delay_max_s=self._pause_max_s)
        wait_s = max(0.0, record.last_s + delay - now_s)
        return max(wait_s, CHECK_S) if record.pending else wait_s

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
        """Keep the table within its limit; records with running checks stay."""
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
