"""Detects desktops' windows when they are mapped on a display, and takes screenshots."""

import asyncio
import contextlib
from types import TracebackType
from typing import Final, Self

from qvdnode.client.core.picture import Picture
from qvdnode.client.x11_link import X11Link
from qvdnode.model.errors import TimedOut, Unavailable
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.wire import png, x11

DESKTOP_CLASS: Final = b"NXAgent"
LOOK_AGAIN_S: Final = 0.05
"""Time until other mapped windows are checked again, since their class may be set later."""
REST_S: Final = 0.5
"""A desktop counts as drawn when it did not change for so long."""


class WindowWatcher:
    """Counts the desktops' windows on a display, exactly, from when it is entered.

    All have the same name, so their order distinguishes them: each `wait_new` returns for one
    window more, once for each however often it is mapped. Several watchers and any number of
    clients may share a display.
    """

    def __init__(self, display: str, clock: Clock) -> None:
        self._link = X11Link(display)
        self._clock = clock
        self._told: set[int] = set()
        """Desktops' windows that are not new any more."""
        self._mapped: dict[int, None] = {}
        """The other windows that were mapped since, in that order; one may yet be a desktop's."""

    async def __aenter__(self) -> Self:
        """Connect; windows that are there already are not new. Raises Unavailable."""
        await self._link.__aenter__()
        before = await self.windows()
        self._link.tell(x11.watch_children(self._link.screen.root))
        # Find windows that were mapped before the watch began.
        now = await self.windows()
        self._told = {*before} & {*now}
        self._mapped = dict.fromkeys(window for window in now if window not in self._told)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        await self._link.__aexit__(kind, error, trace)

    async def wait_new(self, limit_s: float) -> int:
        """The id of a desktop's window that was mapped since; raises TimedOut, Unavailable."""
        try:
            async with TimeLimit(limit_s):
                while True:
                    for window in tuple(self._mapped):
                        if await self._is_desktop(window):
                            del self._mapped[window]
                            self._told.add(window)
                            return window
                    await self._next_change()
        except TimeoutError as error:
            raise TimedOut(f"No desktop's window appeared within {limit_s:g} s.") from error

    async def count(self) -> int:
        """How many desktops' windows are shown now."""
        return len(await self.windows())

    async def windows(self) -> tuple[int, ...]:
        """The desktops' windows that are shown now, lowest first."""
        root = await self._link.ask(x11.children(self._link.screen.root))
        found = () if root is None else x11.parse_children(root)
        return tuple([w for w in found if await self._is_desktop(w) and await self._shown(w)])

    async def drawn(self, window: int, limit_s: float) -> bytes:
        """A PNG of the window once it shows a desktop that has come to rest.

        Raises TimedOut when nothing is drawn. A window that never stops changing is taken as it is
        at the end.
        """
        last: Picture | None = None
        deadline_s = self._clock.monotonic_s() + limit_s
        while self._clock.monotonic_s() < deadline_s:
            now = await self.picture(window)
            if now is not None and now.shows_something():
                if now == last:
                    break
                last = now
            await self._clock.sleep(REST_S)
        if last is None:
            raise TimedOut(f"The desktop drew nothing within {limit_s:g} s.")
        return await asyncio.to_thread(png.encode_rgb, last.width, last.height, last.rgb)

    async def screenshot(self) -> bytes:
        """A PNG of the whole screen; raises Unavailable when the server does not give it."""
        found = await self.picture(self._link.screen.root)
        if found is None:
            raise Unavailable("The X server gives no picture of its screen.")
        return await asyncio.to_thread(png.encode_rgb, found.width, found.height, found.rgb)

    async def _next_change(self) -> None:
        """Wait for windows to come or go, shortly if one of them may get its class meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with TimeLimit(LOOK_AGAIN_S if self._mapped else None):
                self._note(await self._link.next_event())

    def _note(self, event: x11.Packet) -> None:
        window = x11.window_of(event)
        if window is None:
            return
        if event.kind == x11.MAP_NOTIFY and window not in self._told:
            self._mapped[window] = None
        elif event.kind != x11.MAP_NOTIFY:
            self._mapped.pop(window, None)
        if event.kind == x11.DESTROY_NOTIFY:
            self._told.discard(window)  # another window may get the number

    async def picture(self, window: int) -> Picture | None:
        """What the window shows; None while it is not all on the screen, or gone."""
        size = await self._link.ask(x11.geometry(window))
        if size is None:
            return None
        width, height = x11.parse_size(size)
        reply = await self._link.ask(x11.image(window, width, height))
        return (
            None
            if reply is None
            else Picture(width, height, x11.rgb_of_image(reply, width * height))
        )

    async def _is_desktop(self, window: int) -> bool:
        """Whether the window, or what a window manager has framed in it, is a desktop's."""
        if await self._has_class(window):
            return True
        inside = await self._link.ask(x11.children(window))
        framed = () if inside is None else x11.parse_children(inside)
        for child in framed:
            if await self._has_class(child):
                return True
        return False

    async def _has_class(self, window: int) -> bool:
        reply = await self._link.ask(x11.text_property(window, x11.WM_CLASS))
        return reply is not None and DESKTOP_CLASS in x11.parse_property(reply).split(b"\0")

    async def _shown(self, window: int) -> bool:
        reply = await self._link.ask(x11.attributes(window))
        return reply is not None and x11.is_viewable(reply)
