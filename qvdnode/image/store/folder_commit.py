"""Commits a folder on a branch. Everything blocks."""

from pathlib import Path
from typing import Final

from qvdnode.host import disk_space
from qvdnode.image.core.refs import Ref
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.file_index import FileIndex
from qvdnode.image.store.repository import About, Content, Repository, told
from qvdnode.image.store.tree_reader import Progress, Source, TreeReader
from qvdnode.model.errors import NodeFull

CHECK_BYTES: Final = 64 * 1024 * 1024


class FolderCommit:
    """Makes commits in one store, above a floor of free space that is left for desktops."""

    def __init__(self, store: Repository, branches: Branches, floor_mib: int) -> None:
        self._store = store
        self._branches = branches
        self._floor_mib = floor_mib
        self._checked = 0

    def commit(
        self, folder: Path, branch: Ref, message: str, author: str, progress: Progress
    ) -> str:
        """Commit the folder after where the branch is, and move that; returns the commit's name.

        Raises Conflict when somebody else moved the branch meanwhile, BadImage for what no image
        can hold, NodeFull, HostFailed.
        """
        self._store.prepare()
        self._require_room()
        parent = self._branches.get(branch)
        with told(f"{folder} cannot be committed"):
            work = self._store.work_folder()
            try:
                index = FileIndex(self._store, folder)
                began_ns = self._branches.now() * 10**9
                content = self._read(Source(folder, work=work, index=index), progress)
                about = About(
                    author=author,
                    made_at=self._branches.now(),
                    message=message,
                    source="folder",
                    parents=() if parent is None else (parent,),
                )
                name = self._store.publish(
                    content,
                    about,
                    lambda name: self._branches.move(
                        branch, old=parent, new=name, who=author, why=message or "commit"
                    ),
                )
                index.save(began_ns)
                return name
            finally:
                self._store.files.remove_tree(work)

    def _read(self, source: Source, progress: Progress) -> Content:
        def step(done: int) -> None:
            if done - self._checked >= CHECK_BYTES:
                self._checked = done
                self._require_room()
            progress(done)

        return TreeReader(self._store, source, step).read()

    def _require_room(self) -> None:
        if disk_space.free_mib(self._store.places.root) < self._floor_mib:
            raise NodeFull(
                f"the disk is nearly full: {self._floor_mib} MiB are kept free for desktops"
                " (image.free_floor_mib)"
            )
