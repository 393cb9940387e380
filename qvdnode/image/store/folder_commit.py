"""Commits a folder on a branch. Everything blocks."""

from pathlib import Path

from qvdnode.image.core.refs import Ref
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.commit_room import checked, require_room
from qvdnode.image.store.file_index import FileIndex
from qvdnode.image.store.repository import About, Repository, told
from qvdnode.image.store.tree_reader import Progress, Source, TreeReader


class FolderCommit:
    """Makes commits in one store, above a floor of free space that is left for desktops."""

    def __init__(
        self, store: Repository, branches: Branches, floor_mib: int, *, remember: bool = True
    ) -> None:
        """Without `remember`, no index is kept: for folders that are committed once."""
        self._store = store
        self._branches = branches
        self._floor_mib = floor_mib
        self._remember = remember

    def commit(
        self, folder: Path, branch: Ref, message: str, author: str, progress: Progress
    ) -> str:
        """Commit the folder after where the branch is, and move that; returns the commit's name.

        Raises Conflict when somebody else moved the branch meanwhile, BadImage for what no image
        can hold, NodeFull, HostFailed.
        """
        self._store.prepare()
        require_room(self._store.places.root, self._floor_mib)
        parent = self._branches.get(branch)
        with told(f"{folder} cannot be committed"):
            work = self._store.work_folder()
            try:
                index = FileIndex(self._store, folder)
                began_ns = self._branches.now() * 10**9
                step = checked(self._store.places.root, self._floor_mib, progress)
                source = Source(folder, work=work, index=index)
                content = TreeReader(self._store, source, step).read()
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
                if self._remember:
                    index.save(began_ns)
                return name
            finally:
                self._store.files.remove_tree(work)
