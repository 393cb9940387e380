"""Logs failed logins: account, source and reason, never the password, and rate-limited."""

import logging
from typing import Final

from qvdnode.auth.core.line_budget import LineBudget
from qvdnode.model.source_network import plain_address, source_networks
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

LOGIN_MAX: Final = 64
"""Characters of a login that are logged; unauthenticated clients choose its length."""
SHOWN_MAX: Final = 2
"""Characters that are logged of a login that may be no account."""


class FailureLog:
    """Writes `login_failed` events, a limited number per minute for each source and in total.

    Attempts that were refused without a check have a budget of their own, so that any number of
    them leaves lines for the wrong guesses, which fail2ban counts.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._guesses = LineBudget()
        self._unchecked = LineBudget()

    def write(self, *, login: str, source: str, because: str, checked: bool = True) -> None:
        """Write one line, or count it as left out; the next line reports that count.

        `packaging/fail2ban` parses the line. The login comes last because clients choose its text.
        """
        now_s = self._clock.monotonic_s()
        budget = self._guesses if checked else self._unchecked
        left_out = budget.take(source_networks(source)[0].name, now_s)
        if left_out is not None:
            facts = {"source": plain_address(source), "because": because, "left_out": left_out}
            log.info("login_failed", extra={**facts, "login": login[:LOGIN_MAX]})


def shortened(login: str) -> str:
    """Return the first characters of a login; people may type their password as the login."""
    return f"{login[: min(SHOWN_MAX, len(login) // 3)]}..."
