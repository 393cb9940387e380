"""Images of which only is known what they lack."""

from typing import TYPE_CHECKING

from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import ImageId
from qvdnode.model.image_lack import Lacking, Wishes

if TYPE_CHECKING:
    from qvdnode.model.errors import FarmError


class FakeImageContents:
    """Satisfies vm.ports.ImageContents, and what REST asks of image.contents.ImageContents."""

    def __init__(self) -> None:
        self.lacks = Lacking()
        self.refusal: FarmError | None = None

    async def lacking(self, image_id: ImageId, version: int, wishes: Wishes) -> Lacking:
        """As the test set it."""
        if self.refusal is not None:
            raise self.refusal
        return self.lacks

    async def lacking_of(self, order: DesktopOrder) -> Lacking:
        """As the test set it."""
        return await self.lacking(order.flavour.image_id, order.image_version, Wishes("", "", ""))
