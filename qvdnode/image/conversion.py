"""Makes commits of versions that are plain folders, which nodes before the store have left."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from qvdnode.image import guest_folders
from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.free_space import FreeSpaceFloor
from qvdnode.image.layout import Layout
from qvdnode.image.settings import ImageSettings
from qvdnode.image.store.repository import About, told
from qvdnode.image.store.tree_reader import Source, TreeReader
from qvdnode.image.versions import ImageVersions, VersionCommit, read_commit
from qvdnode.model.ids import ImageId

log = logging.getLogger(__name__)

SOURCE: Final = "a plain folder of an earlier version of qvdnode"
_MIB: Final = 1 << 20


class FolderConversion:
    """Converts the folders of one node. A desktop that runs on a folder keeps it until its end."""

    def __init__(self, settings: ImageSettings, versions: ImageVersions) -> None:
        self._layout = Layout(settings.state_dir)
        self._floor = FreeSpaceFloor(settings.state_dir, settings.free_floor_mib)
        self._versions = versions

    def waiting(self) -> list[tuple[ImageId, int]]:
        """The versions that are plain folders and no commits, oldest first. Blocks."""
        folders = [path.parent for path in self._layout.images.glob("[0-9]*/[0-9]*/rootfs")]
        found = [
            (ImageId(int(folder.parent.name)), int(folder.name))
            for folder in folders
            if folder.name.isdecimal()
            and folder.parent.name.isdecimal()
            and read_commit(folder) is None
        ]
        return sorted(found)

    async def convert(self, image_id: ImageId, version: int, name: str) -> str:
        """Make a commit of a version of the image of that name; returns the commit's name.

        Raises BadImage, NodeFull, HostFailed; then the folder stays what the version is.
        """
        made = await asyncio.to_thread(self._commit, image_id, version, name)
        log.info("image_converted", extra={"image": image_id, "version": version, "commit": made})
        await self.remove_unused()
        return made

    async def remove_unused(self) -> None:
        """Remove the folders whose version is a commit and on which no desktop runs."""
        for folder in await asyncio.to_thread(self._converted):
            if not await asyncio.to_thread(guest_folders.runs_from, self._layout, folder.parent):
                await guest_folders.delete_tree(folder / "rootfs")

    def _converted(self) -> list[Path]:
        folders = [path.parent for path in self._layout.images.glob("[0-9]*/[0-9]*/rootfs")]
        return [folder for folder in folders if read_commit(folder) is not None]

    def _commit(self, image_id: ImageId, version: int, name: str) -> str:
        root = self._layout.image_root(image_id, version)
        store, branches = self._versions.store, self._versions.branches
        self._floor.require("the conversion of an image", _size_mib(root))
        with told(f"{root} cannot be read"):
            store.prepare()
            work = store.work_folder()
            try:
                content = TreeReader(store, Source(root, work=work)).read()
                parent = branches.get(Ref(name, MAIN))
                about = About(
                    author="node",
                    made_at=int(root.stat().st_mtime),
                    message=f"version {version}",
                    source=SOURCE,
                    parents=() if parent is None else (parent,),
                )
                return store.publish(
                    content,
                    about,
                    lambda commit: self._point(image_id, version, VersionCommit(name, commit)),
                )
            finally:
                store.files.remove_tree(work)

    def _point(self, image_id: ImageId, version: int, made: VersionCommit) -> None:
        self._versions.point(image_id, version, made)
        self._versions.add(self._layout.image_root(image_id, version).parent, version)


def _size_mib(root: Path) -> int:
    sizes = (path.lstat() for path in root.rglob("*"))
    return sum(facts.st_blocks * 512 // max(facts.st_nlink, 1) for facts in sizes) // _MIB
