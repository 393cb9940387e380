"""Logs failed logins: account, source and reason, never the password, and rate-limited."""

import logging
from typing import Final

from qvdnode.auth.core.line_budget import LineBudget
from qvdnode.model.source_network import plain_address, source_networks
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

LOGIN_MAX: Final = 64
"""Characters of a login that are logged; unauthenticated clients choose its length."""


class FailureLog:
    """Writes `login_failed` events, a limited number per minute for each source and in total."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._budget = LineBudget()

    def write(self, *, login: str, source: str, because: str) -> None:
        """Write one line, or count it as left out; the next line reports that count."""
        now_s = self._clock.monotonic_s()
        left_out = self._budget.take(source_networks(source)[0].name, now_s)
        if left_out is not None:
            facts = {"login": login[:LOGIN_MAX], "source": plain_address(source)}
            log.info("login_failed", extra={**facts, "because": because, "left_out": left_out})
