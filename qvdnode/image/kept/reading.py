"""Reads the upper folder of a kept overlay for a rebase. Everything blocks."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from qvdnode.image.core.guest_ids import unshifted
from qvdnode.image.core.manifest import INLINE_MAX, ROOT, Kind, Node
from qvdnode.image.core.rebase import UNREAD, Overlay
from qvdnode.image.store.repository import Repository
from qvdnode.image.store.tree_reader import Source, TreeReader, steady
from qvdnode.model.errors import BadImage
from qvdnode.model.guest import IdRange

PARTIAL: Final = ("trusted.overlay.metacopy", "trusted.overlay.redirect")
OPAQUE: Final = "trusted.overlay.opaque"


class OverlayReader(TreeReader):
    """Reads one upper folder; content is read only where its size is one of the image's."""

    def __init__(
        self, store: Repository, upper: Path, ids: IdRange, sizes_of: Callable[[bytes], set[int]]
    ) -> None:
        super().__init__(store, Source(upper))
        self._ids = ids
        self._sizes_of = sizes_of
        self._sizes: set[int] = set()

    def overlay(self) -> Overlay:
        """What the desktop changed; raises BadImage, OSError."""
        nodes: dict[bytes, Node] = {}
        deleted: list[bytes] = []
        emptied: list[bytes] = []
        with self._opened():
            for path, facts in self._sorted():
                if stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0:
                    deleted.append(path)
                    continue
                if self._is_opaque(path) and path != ROOT:
                    emptied.append(path)
                self._sizes = self._sizes_of(path)
                node = self._node(path, facts)
                nodes[path] = unshifted(node, self._ids.start, self._ids.count)
        return Overlay(nodes, deleted, emptied)

    def _is_opaque(self, path: bytes) -> bool:
        with steady(path):
            names = os.listxattr(self._root.place(path), follow_symlinks=False)
        if any(name in names for name in PARTIAL):
            raise BadImage(
                f"{os.fsdecode(path)} is kept only in parts by this kernel: kept overlays need"
                " overlays with metacopy=off and redirect_dir=off"
            )
        return OPAQUE in names

    def _file(self, path: bytes, place: bytes) -> tuple[str, int, bytes]:
        size = os.lstat(place).st_size
        if size > INLINE_MAX and size not in self._sizes:
            return Kind.FILE, size, UNREAD
        return super()._file(path, place)

    def _take(self, digest: str, stream: BinaryIO, size: int, path: bytes) -> None:
        """Leave it where it is."""
