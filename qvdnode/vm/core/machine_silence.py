"""Counts how often a machine has answered nothing for long. Pure."""

from typing import Final

HANGS_AFTER_S: Final = 60.0
"""Of silence. A machine that is only busy answers within a few seconds, without KVM too."""


class Silence:
    """What is known of one machine's answers."""

    def __init__(self) -> None:
        self.hangs = 0
        """Silences that lasted HANGS_AFTER_S; one that goes on is counted once."""
        self._since_s: float | None = None
        self._is_counted = False

    def heard(self) -> None:
        """It answered, or nobody may expect that it does."""
        self._since_s = None
        self._is_counted = False

    def missed(self, asked_s: float, now_s: float) -> None:
        """A question of `asked_s` has no answer yet at `now_s`, both of one steady clock."""
        if self._since_s is None:
            self._since_s = asked_s
        if not self._is_counted and now_s - self._since_s >= HANGS_AFTER_S:
            self._is_counted = True
            self.hangs += 1
