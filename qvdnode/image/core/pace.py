"""Checks the data rate of a sender. Pure.

Only time spent waiting for the sender counts, not time in which the node unpacks or the upload
waits for its turn.
"""


class Pace:
    """Requires a minimum average rate over windows of waiting time."""

    def __init__(self, *, bytes_per_s_min: float, window_s: float) -> None:
        self._bytes_min = bytes_per_s_min * window_s
        self._window_s = window_s
        self._waited_s = 0.0
        self._came = 0

    @property
    def patience_s(self) -> float:
        """How much longer to wait for the next bytes."""
        return self._window_s - self._waited_s

    def took(self, size: int, waited_s: float) -> bool:
        """Count bytes that came after a wait; False when the sender is too slow."""
        self._came += size
        self._waited_s += waited_s
        if self._came >= self._bytes_min:
            self._waited_s, self._came = 0.0, 0
        return self._waited_s < self._window_s
