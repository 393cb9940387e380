"""A picture of a window, and whether there is anything to see on it."""

from dataclasses import dataclass
from typing import Final

COLOURS_DRAWN: Final = 8
"""A picture with at least so many colours is more than an empty background."""
SAMPLE: Final = 7
"""Every so many pixels are looked at; lines of text and icons are wider than that."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Rows of red, green and blue bytes, top row first."""

    width: int
    height: int
    rgb: bytes

    def shows_something(self) -> bool:
        """Whether a desktop has been drawn, at least in part."""
        step = 3 * SAMPLE
        colours = {self.rgb[at : at + 3] for at in range(0, len(self.rgb), step)}
        return len(colours) >= COLOURS_DRAWN
