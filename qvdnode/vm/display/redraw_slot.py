"""One place among the displays that may redraw at the same time."""

import asyncio


class RedrawSlot:
    """Taken once and given back once, whoever gives it back first."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._held = False

    async def take(self) -> None:
        """Return when the place is this one's."""
        await self._places.acquire()
        self._held = True

    def end(self) -> None:
        """Let the next one have it; safe to repeat."""
        if self._held:
            self._held = False
            self._places.release()
