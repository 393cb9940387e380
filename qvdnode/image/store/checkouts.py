"""Trees of commits as plain folders, for kernels that cannot mount their metadata. Blocks.

Files are hard links to shapes: copies of objects with owner, mode, time and attributes. Versions
that have a file in common have one shape, and so one place in the page cache. Equal files of one
tree have a shape each, since they are not links to each other.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections import Counter
from pathlib import Path
from typing import Final

from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.manifest import ROOT, Kind, Node, Tree
from qvdnode.image.store.repository import Repository

_FICLONE: Final = 0x4004_9409
_SPECIAL: Final = {
    Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO,
    Kind.SOCKET: stat.S_IFSOCK,
}  # fmt: skip


def build(store: Repository, manifest: str, tree: Tree) -> Path:
    """The folder with the tree of a manifest, made now if missing; raises OSError, BadImage."""
    done = store.places.checkout(manifest)
    if done.exists():
        return done
    work = store.work_folder()
    try:
        root = work / "rootfs"
        _Checkout(store, root, tree).build()
        store.files.sync_all(store.places.root)
        root.rename(done)
        store.files.sync(done.parent)
    finally:
        store.files.remove_tree(work)
    return done


def unlinked_shapes(store: Repository) -> list[Path]:
    """Shapes that no checkout has any more."""
    return [path for path in store.places.shapes.glob("*/*") if path.stat().st_nlink == 1]


class _Checkout:
    """Builds one tree."""

    def __init__(self, store: Repository, root: Path, tree: Tree) -> None:
        self._store = store
        self._root = os.fsencode(root)
        self._tree = tree
        self._uses: Counter[str] = Counter()
        """How many files of the tree had this shape so far."""

    def build(self) -> None:
        for path, node in self._tree.items():
            self._make(path, node)
        # Last, since writing into folders changes their times.
        for path, node in reversed(list(self._tree.items())):
            if node.kind == Kind.FOLDER:
                _finish(self._place(path), node)

    def _place(self, path: bytes) -> bytes:
        return self._root if path == ROOT else self._root + path

    def _make(self, path: bytes, node: Node) -> None:
        place = self._place(path)
        match node.kind:
            case Kind.FOLDER:
                os.mkdir(place, 0o700)  # noqa: PTH102 - the path is bytes
            case Kind.FILE | Kind.INLINE:
                self._link_shape(node, place)
            case Kind.HARDLINK:
                os.link(self._place(node.payload), place, follow_symlinks=False)
            case Kind.SYMLINK:
                os.symlink(node.payload, place)  # noqa: PTH211 - the path is bytes
                _finish(place, node)
            case _:
                device = os.makedev(*node.device) if node.payload else 0
                os.mknod(place, _SPECIAL[node.kind] | 0o600, device)
                _finish(place, node)

    def _link_shape(self, node: Node, place: bytes) -> None:
        plain = shape_key(node, 0)
        shape = self._store.places.shape(shape_key(node, self._uses[plain]))
        self._uses[plain] += 1
        if not shape.exists():
            shape.parent.mkdir(mode=0o700, exist_ok=True)
            draft = shape.with_name(f"{shape.name}.new")
            self._write(node, draft)
            draft.rename(shape)
        try:
            os.link(os.fsencode(shape), place, follow_symlinks=False)
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            self._write(node, Path(os.fsdecode(place)))

    def _write(self, node: Node, target: Path) -> None:
        target.unlink(missing_ok=True)
        if node.kind == Kind.INLINE:
            target.write_bytes(node.payload)
        else:
            _copy(self._store.places.object(node.payload.decode()), target)
        _finish(os.fsencode(target), node)


def shape_key(node: Node, number: int) -> str:
    """The name of the shape of a file: of its content and all that an inode has beside it.

    `number` counts equal files of one tree.
    """
    return hashlib.sha256(manifests.encode({ROOT: node}) + b"%d" % number).hexdigest()


def _copy(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the file system can."""
    with source.open("rb") as read, target.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
        except OSError:
            shutil.copyfileobj(read, write, 1 << 20)


def _finish(place: bytes, node: Node) -> None:
    os.chown(place, node.uid, node.gid, follow_symlinks=False)
    if node.kind != Kind.SYMLINK:
        os.chmod(place, node.mode)  # noqa: PTH101 - the path is bytes
    _set_xattrs(place, node.xattrs)
    os.utime(place, ns=(node.mtime_ns, node.mtime_ns), follow_symlinks=False)


def _set_xattrs(place: bytes, xattrs: manifests.Xattrs) -> None:
    for name, value in xattrs:
        os.setxattr(place, name, value, follow_symlinks=False)
