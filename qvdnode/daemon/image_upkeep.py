"""Keeps what this node has of images in step with the farm: converts, tells, and removes."""

import asyncio
import logging
from typing import Final

from qvdnode.db.image_refs import ImageRefs, RefMove, RefName
from qvdnode.db.images import Images
from qvdnode.image.conversion import FolderConversion
from qvdnode.image.core.refs import MAIN
from qvdnode.image.importer import Importer
from qvdnode.image.layout import Layout
from qvdnode.model.errors import Conflict, FarmError
from qvdnode.model.ids import ImageId
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

EVERY_S: Final = 60.0


class ImageUpkeep:
    """One for the node, once it has joined the farm."""

    def __init__(
        self,
        images: Images,
        refs: ImageRefs,
        importer: Importer,
        conversion: FolderConversion,
        layout: Layout,
        clock: Clock,
    ) -> None:
        self._images = images
        self._refs = refs
        self._importer = importer
        self._conversion = conversion
        self._layout = layout
        self._clock = clock

    async def run(self) -> None:
        """Look once a minute, until cancelled; what fails is logged, and tried again."""
        while True:
            for work in (self._convert, self._tell, self._remove):
                try:
                    await work()
                except FarmError as error:
                    log.warning("images_not_in_step", extra={"because": str(error)})
            await self._clock.sleep(EVERY_S)

    async def _convert(self) -> None:
        """Make commits of plain folders."""
        await self._conversion.remove_unused()
        for image_id, version in await asyncio.to_thread(self._conversion.waiting):
            if await self._images.exists(image_id):
                image = await self._images.get(image_id)
                await self._conversion.convert(image_id, version, image.name)

    async def _tell(self) -> None:
        """Tell the farm the commits of versions that were made before it asked for them."""
        versions = self._importer.versions
        behind: dict[ImageId, bool] = {}
        for image_id, version in await self._images.untold():
            if image_id not in behind:
                behind[image_id] = await self._refs.get(image_id, RefName(MAIN)) is None
            made = await asyncio.to_thread(versions.commit_of, image_id, version)
            if made is None:
                continue
            lineage = await asyncio.to_thread(versions.lineage, made.commit)
            await self._images.tell_commit(image_id, version, lineage)
            if behind[image_id]:
                why = f"version {version}"
                move = RefMove(RefName(MAIN), made.commit, "node", why, anywhere=True)
                await self._refs.move(image_id, move)
            log.info("image_commit_told", extra={"image": image_id, "version": version})

    async def _remove(self) -> None:
        """Remove images that were deleted, on this node or on another one."""
        there = await asyncio.to_thread(_image_ids, self._layout)
        for image_id in there & set(await self._images.removals()):
            try:
                await self._importer.mark_removal(image_id)
            except Conflict:
                continue  # a desktop runs on it
            await self._importer.remove(image_id)
            log.info("image_removed", extra={"image": image_id})


def _image_ids(layout: Layout) -> set[ImageId]:
    names = (path.name for path in layout.images.glob("[0-9]*"))
    return {ImageId(int(name)) for name in names if name.isdecimal()}
