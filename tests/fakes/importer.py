"""An importer that keeps nothing but sizes: bytes come in, versions are placed in a table."""

from collections.abc import AsyncIterator
from pathlib import Path

from qvdnode.image.core.refs import MAIN
from qvdnode.image.importer import Imported
from qvdnode.image.settings import ImageSettings, VersionMounts
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import BadImage, Conflict
from qvdnode.model.ids import ImageId
from tests.fakes.image_contents import FakeImageContents

BROKEN = b"this is not tar"


class FakeImporter:
    """Satisfies what REST asks of image.importer.Importer."""

    def __init__(self) -> None:
        self.staged: set[Path] = set()
        self.used: set[ImageId] = set()
        """Images that guests run on."""
        self.marked: set[ImageId] = set()
        self.placed: dict[tuple[ImageId, int], int] = {}
        self.contents = FakeImageContents()
        nowhere = ImageSettings(Path("/nonexistent"), version_mounts=VersionMounts.CHECKOUT)
        self.versions = ImageVersions(nowhere)
        """Of a node without a store; a test may give it one."""

    async def import_tar(
        self,
        chunks: AsyncIterator[bytes],
        name: str,
        *,
        note: str = "",
        add_session: bool = False,
        parent: str | None = None,
    ) -> Imported:
        """Take everything in; raises BadImage for BROKEN."""
        size = 0
        async for chunk in chunks:
            if chunk.startswith(BROKEN):
                raise BadImage("This is not a tar file.")
            size += len(chunk)
        imported = Imported(Path(f"/staging/{name}-{len(self.staged)}"), size)
        self.staged.add(imported.version_folder)
        return imported

    async def place(
        self, imported: Imported, image_id: ImageId, version: int, branch: str = MAIN
    ) -> None:
        """Let it be that version."""
        self.staged.discard(imported.version_folder)
        self.placed[image_id, version] = imported.size_bytes

    async def last_version(self, image_id: ImageId) -> int:
        """The greatest number that was placed, or 0."""
        return max((version for image, version in self.placed if image == image_id), default=0)

    async def discard(self, imported: Imported) -> None:
        """Forget it."""
        self.staged.discard(imported.version_folder)

    async def mark_removal(self, image_id: ImageId) -> None:
        """Raises Conflict for an image in `used`."""
        if image_id in self.used:
            raise Conflict("A desktop still runs on this image; stop it first.")
        self.marked.add(image_id)

    async def unmark_removal(self, image_id: ImageId) -> None:
        """Take that back."""
        self.marked.discard(image_id)

    async def remove(self, image_id: ImageId) -> None:
        """Forget all versions."""
        self.placed = {key: size for key, size in self.placed.items() if key[0] != image_id}
