"""The log of failed logins: who, from where and why; never a proof, and never without end."""

import logging
from typing import Final

from qvdnode.auth.core.line_budget import LineBudget
from qvdnode.model.source_network import plain_address, source_networks
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

LOGIN_MAX: Final = 64
"""Characters of a login that are written: strangers send what they like."""


class FailureLog:
    """Writes `login_failed` events: a limited number a minute for each source and in all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._budget = LineBudget()

    def write(self, *, login: str, source: str, because: str) -> None:
        """Write one line, or count it as left out: the next line says how many were."""
        now_s = self._clock.monotonic_s()
        left_out = self._budget.take(source_networks(source)[0].name, now_s)
        if left_out is not None:
            facts = {"login": login[:LOGIN_MAX], "source": plain_address(source)}
            log.info("login_failed", extra={**facts, "because": because, "left_out": left_out})
