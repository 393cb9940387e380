"""Scripted users who type, and how long each key takes to be seen on their screens.

A key is sent to the window that nxproxy has made, as an X server would send it, and travels to the
guest's terminal. Its echo is a change of pixels of that window, on the client's display.
"""

import asyncio
import random
import struct
import time
from dataclasses import dataclass, field
from typing import Final

from qvdnode.client.x11_link import X11Link
from qvdnode.wire import x11

CELL: Final = (640, 480)
COLUMNS: Final = 5
"""Windows side by side on the typists' screen."""
LOOKED_AT: Final = (520, 150)
"""The upper left part of a desktop: its terminal's first lines."""
KEY_PAUSE_S: Final = 0.25
"""Between two keys of one user, on average; a fair typist's."""
LOOK_S: Final = 0.003
"""Between two looks at the screen; an echo is seen so late at most, plus a look's own time."""
GIVEN_UP_S: Final = 3.0
MEASURED_EVERY: Final = 3
"""One key in so many is measured, of each user."""
LINE: Final = 20
"""So many letters, then as many times backspace: all stays in the terminal's first line."""
LETTER, BACKSPACE, LEFT_BUTTON = 53, 22, 1
"""Key codes of x and backspace on Xvfb's keyboard."""
KEY_PRESS, KEY_RELEASE, BUTTON_PRESS, BUTTON_RELEASE = 2, 3, 4, 5
TO_ITS_MAKER: Final = 0
"""Event mask: to the client that made the window."""
IN_TERMINAL: Final = (200, 120)
CONFIGURE_X_Y: Final = 0b11


@dataclass(slots=True)
class Echoes:
    """What was measured, in seconds; a key whose echo did not come counts as GIVEN_UP_S."""

    seconds: list[float] = field(default_factory=list)
    keys: int = 0
    lost: int = 0


class Typing:
    """Users who type on one screen."""

    def __init__(self, looks: X11Link, keys: X11Link) -> None:
        """Two connections: no request may come between another one and its reply."""
        self._link = looks
        self._keys = keys
        self._turn = asyncio.Lock()
        self._windows: list[tuple[int, int]] = []
        """The window that takes the keys, and the one on the screen around it."""

    async def seat(self, window: int) -> None:
        """Put a desktop's window beside the others; `window` is what the watcher has found."""
        inner = await self._taking_keys(window)
        number = len(self._windows)
        x, y = CELL[0] * (number % COLUMNS), CELL[1] * (number // COLUMNS)
        self._keys.tell(struct.pack("<BxHIHxxii", 12, 5, window, CONFIGURE_X_Y, x, y))
        self._windows.append((inner, window))

    @property
    def seated(self) -> int:
        """How many there are."""
        return len(self._windows)

    async def type_for(self, seconds: float) -> Echoes:
        """All type at once for so long."""
        found = Echoes()
        await asyncio.gather(
            *(
                self._one(inner, seconds, found, random.Random(number))
                for number, (inner, _) in enumerate(self._windows)
            )
        )
        return found

    async def _one(self, window: int, seconds: float, found: Echoes, chance: random.Random) -> None:
        until_s = time.monotonic() + seconds
        await asyncio.sleep(chance.uniform(0, KEY_PAUSE_S))
        for kind in (BUTTON_PRESS, BUTTON_RELEASE):
            self._send(window, kind, LEFT_BUTTON, IN_TERMINAL)
        await asyncio.sleep(0.5)
        number = 0
        while time.monotonic() < until_s or number % (2 * LINE):
            code = LETTER if number % (2 * LINE) < LINE else BACKSPACE
            number += 1
            found.keys += 1
            began = time.monotonic()
            if number % MEASURED_EVERY == 0:
                await self._measured(window, code, found)
            else:
                self._key(window, code)
            pause_s = KEY_PAUSE_S * chance.uniform(0.5, 1.5)
            await asyncio.sleep(max(0.01, pause_s - (time.monotonic() - began)))

    async def _measured(self, window: int, code: int, found: Echoes) -> None:
        before = await self._look(window)
        began = time.monotonic()
        self._key(window, code)
        while (seconds := time.monotonic() - began) < GIVEN_UP_S:
            await asyncio.sleep(LOOK_S)
            if await self._look(window) != before:
                found.seconds.append(round(time.monotonic() - began, 4))
                return
        found.lost += 1
        found.seconds.append(round(seconds, 4))

    def _key(self, window: int, code: int) -> None:
        self._send(window, KEY_PRESS, code, IN_TERMINAL)
        self._send(window, KEY_RELEASE, code, IN_TERMINAL)

    def _send(self, window: int, kind: int, detail: int, at: tuple[int, int]) -> None:
        now = int(time.monotonic() * 1000) & 0xFFFF_FFFF
        state = LEFT_BUTTON << 8 if kind == BUTTON_RELEASE else 0
        root = self._keys.screen.root
        event = struct.pack(
            "<BBHIIIIhhhhHBx", kind, detail, 0, now, root, window, 0, *at, *at, state, 1
        )
        self._keys.tell(struct.pack("<BBHII", 25, 0, 11, window, TO_ITS_MAKER) + event)

    async def _look(self, window: int) -> bytes:
        async with self._turn:
            reply = await self._link.ask(x11.image(window, *LOOKED_AT))
        return b"" if reply is None else reply[x11.PACKET :]

    async def _taking_keys(self, window: int) -> int:
        """The desktop's own window, which a window manager may have put into a frame."""
        async with self._turn:
            reply = await self._link.ask(x11.children(window))
            inside = () if reply is None else x11.parse_children(reply)
            for child in inside:
                found = await self._link.ask(x11.text_property(child, x11.WM_CLASS))
                if found is not None and b"NXAgent" in x11.parse_property(found):
                    return child
        return window
