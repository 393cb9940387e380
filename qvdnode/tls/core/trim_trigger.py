"""Decides when enough connections have ended to return their memory to the kernel. Pure."""


class TrimTrigger:
    """Tracks the number of open connections and reports each decrease by `step`.

    While their number stays the same, new connections reuse the memory of ended ones.
    """

    def __init__(self, *, step: int) -> None:
        self._step = step
        self._level = 0

    def opened(self, count: int) -> None:
        """Note that a connection has opened; `count` are open now."""
        self._level = max(self._level, count)

    def closed(self, count: int) -> bool:
        """Note that one has closed; True if `count` is `step` below the last peak."""
        if self._level - count < self._step:
            return False
        self._level = count
        return True
