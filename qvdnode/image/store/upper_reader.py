"""Reads what a desktop wrote, the upper folder of its overlay. Everything blocks."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from qvdnode.image.core.guest_ids import unshifted
from qvdnode.image.core.tree_merge import Changes, is_own
from qvdnode.image.store.repository import Repository
from qvdnode.image.store.tree_reader import Progress, Source, TreeReader, steady
from qvdnode.model.errors import BadImage
from qvdnode.model.guest import IdRange


class UpperReader(TreeReader):
    """Reads one upper folder; what is the desktop's own is not even looked at."""

    def __init__(self, store: Repository, source: Source, ids: IdRange, progress: Progress) -> None:
        super().__init__(store, source, progress)
        self._ids = ids
        self._deleted: list[bytes] = []
        self._emptied: list[bytes] = []

    def changes(self) -> tuple[Changes, Mapping[str, Path]]:
        """The changes, and the new objects; raises BadImage, OSError."""
        nodes = {}
        with self._opened():
            for path, facts in self._sorted():
                if is_own(path):
                    continue
                if stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0:
                    self._deleted.append(path)
                    continue
                self._look_at_marks(path)
                node = self._node(path, facts)
                nodes[path] = unshifted(node, self._ids.start, self._ids.count)
        return Changes(nodes, self._deleted, self._emptied), self._fresh

    def _look_at_marks(self, path: bytes) -> None:
        with steady(path):
            names = os.listxattr(self._root.place(path), follow_symlinks=False)
        if "trusted.overlay.metacopy" in names or "trusted.overlay.redirect" in names:
            raise BadImage(
                f"{os.fsdecode(path)} was changed in a way that this kernel keeps only in parts:"
                " desktops can be committed on nodes where an overlay takes metacopy=off"
            )
        if "trusted.overlay.opaque" in names:
            self._emptied.append(path)
