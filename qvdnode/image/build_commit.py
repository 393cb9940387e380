"""Builds a desktop's root file system and commits it, instead of leaving it in a folder."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Final

from qvdnode.image import builder
from qvdnode.image.builder import BuildProgress
from qvdnode.image.core.recipe import Recipe
from qvdnode.image.core.refs import Ref
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.folder_commit import FolderCommit
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import HostFailed

PLACE: Final = Path("/var/tmp")
"""On a disk, and where the account that fetches packages may enter."""


class BuildCommit:
    """Makes commits of builds in one store, above a floor of free space."""

    def __init__(self, store: Repository, branches: Branches, floor_mib: int) -> None:
        self._work = FolderCommit(store, branches, floor_mib, remember=False)

    async def build(
        self, recipe: Recipe, branch: Ref, message: str, author: str, progress: BuildProgress
    ) -> str:
        """Build, commit after where the branch is, and move that; returns the commit's name.

        The folder of the build is removed in any case. Raises as `builder.build` and as
        FolderCommit.
        """
        try:
            place = await asyncio.to_thread(_new_folder)
        except OSError as error:
            raise HostFailed(f"nothing can be built in {PLACE}: {error.strerror}") from error
        try:
            root = place / recipe.name
            await builder.build(recipe, root, progress)
            progress(100, "making the commit")
            why = message or f"build {recipe.name} for {recipe.suite}"
            return await asyncio.to_thread(
                self._work.commit, root, branch, why, author, lambda _done: None
            )
        finally:
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="qvdnode-build-", dir=PLACE))
    folder.chmod(0o711)
    return folder
