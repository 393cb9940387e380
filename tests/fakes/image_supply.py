"""Images that are on the node, or come when the test says so."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from qvdnode.model.ids import ImageId

if TYPE_CHECKING:
    from qvdnode.model.errors import FarmError


class FakeImageSupply:
    """Satisfies vm.ports.ImageSupply."""

    def __init__(self) -> None:
        self.told: list[str] = []
        """What each fetch says, in order."""
        self.arrived = asyncio.Event()
        self.arrived.set()
        self.refusal: FarmError | None = None
        self.waiting = 0

    async def bring(self, image_id: ImageId, version: int, tell: Callable[[str], None]) -> None:
        """Wait until it has arrived."""
        for sentence in self.told:
            tell(sentence)
        self.waiting += 1
        try:
            await self.arrived.wait()
        finally:
            self.waiting -= 1
        if self.refusal is not None:
            raise self.refusal
