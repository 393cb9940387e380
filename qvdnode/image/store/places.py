"""Paths of the store, and its locks.

images/store/
    objects/ab/cdef...    content of files, by SHA-256
    manifests/NAME.z      trees, packed with zlib
    commits/NAME
    refs/heads/IMAGE/BRANCH, refs/tags/IMAGE/TAG
    reflog                one JSON object a line
    erofs/NAME            mountable metadata of a manifest; can be made again
    checkouts/NAME        the tree of a manifest, for kernels that cannot mount the above
    shapes/ab/cdef...     what checkouts link to: content with owner, mode, time and attributes
    quarantine/           objects that nothing needs, before they are deleted
    indexes/NAME          digests of files of folders that were committed
    tmp/                  what is being written
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qvdnode.image.core.erofs import object_path


@dataclass(frozen=True, slots=True)
class StorePlaces:
    """Paths below the store's folder."""

    root: Path

    @property
    def objects(self) -> Path:
        """All objects; the data-only layer of guests."""
        return self.root / "objects"

    @property
    def quarantine(self) -> Path:
        """Objects that nothing needed at the last collection."""
        return self.root / "quarantine"

    @property
    def refs(self) -> Path:
        """Branches and tags."""
        return self.root / "refs"

    @property
    def reflog(self) -> Path:
        """The log of refs."""
        return self.root / "reflog"

    @property
    def commits(self) -> Path:
        """All commits."""
        return self.root / "commits"

    @property
    def manifests(self) -> Path:
        """All manifests."""
        return self.root / "manifests"

    @property
    def metadata(self) -> Path:
        """EROFS images of manifests."""
        return self.root / "erofs"

    @property
    def checkouts(self) -> Path:
        """Trees of manifests as plain folders."""
        return self.root / "checkouts"

    @property
    def shapes(self) -> Path:
        """Files that checkouts have links to."""
        return self.root / "shapes"

    @property
    def indexes(self) -> Path:
        """Digests of files of folders that were committed."""
        return self.root / "indexes"

    @property
    def tmp(self) -> Path:
        """Files that are being written."""
        return self.root / "tmp"

    def folders(self) -> tuple[Path, ...]:
        """All folders, to be made."""
        return (
            self.objects, self.quarantine, self.refs, self.commits, self.manifests, self.metadata,
            self.checkouts, self.shapes, self.tmp,
        )  # fmt: skip

    def object(self, digest: str) -> Path:
        """The file of an object."""
        return self.objects / object_path(digest)

    def quarantined(self, digest: str) -> Path:
        """Where an object is before it is deleted."""
        return self.quarantine / digest

    def commit(self, name: str) -> Path:
        """The file of a commit."""
        return self.commits / name

    def manifest(self, name: str) -> Path:
        """The file of a manifest."""
        return self.manifests / f"{name}.z"

    def erofs(self, manifest: str) -> Path:
        """The EROFS image of a manifest."""
        return self.metadata / manifest

    def checkout(self, manifest: str) -> Path:
        """The tree of a manifest as a plain folder."""
        return self.checkouts / manifest

    def shape(self, key: str) -> Path:
        """A file that checkouts have links to."""
        return self.shapes / object_path(key)


@contextmanager
def locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a lock file, waiting for others of this and of other processes. Blocks."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)
