"""Limits how many log lines unauthenticated clients cause, per source and in total. Pure."""

from typing import Final

WINDOW_S: Final = 60.0
PER_SOURCE: Final = 10
"""Lines in a window about one source: enough for whoever counts failures, as fail2ban does."""
IN_ALL: Final = 120
"""Lines in a window about all sources: some 40 MB of log a day at the very most."""


class LineBudget:
    """Counts the lines of the current window."""

    def __init__(self) -> None:
        self._began_s = 0.0
        self._by_source: dict[str, int] = {}
        self._written = 0
        self._left_out = 0

    def take(self, source: str, now_s: float) -> int | None:
        """Count a line; None if it must not be written, else how many were left out before it."""
        if now_s - self._began_s >= WINDOW_S:
            self._began_s, self._written = now_s, 0
            self._by_source.clear()
        lines = self._by_source.get(source, 0)
        if lines >= PER_SOURCE or self._written >= IN_ALL:
            self._left_out += 1
            return None
        self._by_source[source] = lines + 1
        self._written += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
