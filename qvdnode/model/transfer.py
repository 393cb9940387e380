"""Which way data may go between a desktop and its user's machine."""

from enum import StrEnum


class Transfer(StrEnum):
    """A flavour's policy for files or for the clipboard."""

    BOTH = "both"
    IN = "in"
    """Into the desktop only."""
    OUT = "out"
    """Out of the desktop only."""
    NONE = "none"

    @property
    def into_desktop(self) -> bool:
        """Whether data may go into the desktop."""
        return self in {Transfer.BOTH, Transfer.IN}

    @property
    def out_of_desktop(self) -> bool:
        """Whether data may leave the desktop."""
        return self in {Transfer.BOTH, Transfer.OUT}
