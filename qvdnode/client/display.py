"""What the X display in use tells about itself: screen size and keyboard."""
# tested-by: tests/integration/client/test_connect.py

from dataclasses import dataclass
from typing import Final

from qvdnode.client.core import display_facts
from qvdnode.client.x11_link import X11Link
from qvdnode.wire import x11

KEYBOARD_PROPERTY: Final = "_XKB_RULES_NAMES"


@dataclass(frozen=True, slots=True)
class DisplayFacts:
    """Of the first screen."""

    width: int
    height: int
    keyboard: str | None
    """Model/layout, None when the server does not tell."""


async def look_at(display: str) -> DisplayFacts:
    """Ask the X server; raises Unavailable when there is none."""
    async with X11Link(display) as link:
        names = b""
        reply = await link.ask(x11.atom(KEYBOARD_PROPERTY))
        number = 0 if reply is None else x11.parse_atom(reply)
        if number:
            reply = await link.ask(x11.text_property(link.screen.root, number))
            names = b"" if reply is None else x11.parse_property(reply)
        return DisplayFacts(link.screen.width, link.screen.height, display_facts.keyboard(names))
