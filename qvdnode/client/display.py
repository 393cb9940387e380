"""Reads facts about the X display, and grants access to the user's processes."""

import os
from dataclasses import dataclass
from typing import Final

from qvdnode.client.core import display_facts
from qvdnode.client.x11_link import X11Link
from qvdnode.wire import x11

KEYBOARD_PROPERTY: Final = "_XKB_RULES_NAMES"


@dataclass(frozen=True, slots=True)
class DisplayFacts:
    """Facts about the first screen."""

    width: int
    height: int
    keyboard: str | None
    """Model/layout, None when the server does not tell."""


async def prepare_display(display: str) -> DisplayFacts:
    """Have the X server let in this user's processes, and ask it; raises Unavailable without one.

    nxproxy passes on the greeting of the guest, which knows no cookie of this display. Most
    distributions let the user in when a session begins. A server that refuses stays as it is.
    """
    # One connection for both: some servers reset when the last client disconnects.
    async with X11Link(display) as link:
        link.tell(x11.let_in_local_user(os.geteuid()))
        names = b""
        reply = await link.ask(x11.atom(KEYBOARD_PROPERTY))
        number = 0 if reply is None else x11.parse_atom(reply)
        if number:
            reply = await link.ask(x11.text_property(link.screen.root, number))
            names = b"" if reply is None else x11.parse_property(reply)
        return DisplayFacts(link.screen.width, link.screen.height, display_facts.keyboard(names))
