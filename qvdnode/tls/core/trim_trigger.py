"""When so many connections have ended that their memory is worth giving back. Pure."""


class TrimTrigger:
    """Follows how many connections are open, and tells of each fall by `step`.

    Connections that come and go without getting fewer reuse each other's memory.
    """

    def __init__(self, *, step: int) -> None:
        self._step = step
        self._level = 0

    def opened(self, count: int) -> None:
        """One more is open: so many are now."""
        self._level = max(self._level, count)

    def closed(self, count: int) -> bool:
        """One has ended; whether there are `step` fewer than there were."""
        if self._level - count < self._step:
            return False
        self._level = count
        return True
