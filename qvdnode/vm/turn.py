"""One place among those that may do something at the same time."""

# tested-by: tests/unit/vm/test_fleet_redraws.py

import asyncio


class Turn:
    """Taken once it is waited for, and given back once, by whoever is first to say so."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self.held = False

    async def take(self) -> None:
        """Return when the place is this one's."""
        await self._places.acquire()
        self.held = True

    def end(self) -> None:
        """Let the next one have it; safe to repeat."""
        if self.held:
            self.held = False
            self._places.release()
