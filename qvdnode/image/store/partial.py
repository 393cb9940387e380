"""A commit that is being fetched: its objects gather in a folder until all of them are there.

What came in an interrupted fetch stays for a day (store/collection.py), and is not sent again.
Everything blocks.
"""

import hashlib
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from qvdnode.image.core import commit as commits
from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.bundle import BundleReader, Missing, Piece, Sized, bits_of, in_order
from qvdnode.image.store.repository import Repository, told
from qvdnode.model.errors import BadImage

PREFIX: Final = "fetch-"
DRAFT: Final = "draft"
CHUNK: Final = 1024 * 1024


class PartialCommit:
    """One fetch; every object is checked by its digest before it gets its name."""

    def __init__(self, store: Repository, name: str, raw: bytes, packed: bytes) -> None:
        """`raw` is the commit's text, `packed` its manifest as stores keep it.

        Raises BadImage when they are not what the names say, HostFailed.
        """
        if commits.name_of(raw) != name:
            raise BadImage(f"what was sent is not the commit {name}: it has another digest")
        self._store = store
        self._raw = raw
        self._text = _unpacked(packed, commits.decode(raw).manifest)
        self._tree = manifests.decode(self._text)
        self._objects = in_order(manifests.digests(self._tree.values()).items())
        self._folder = store.places.tmp / f"{PREFIX}{name}"
        self._reader = BundleReader([])
        self._open: tuple[str, BinaryIO, hashlib._Hash] | None = None
        self.received_bytes = 0
        """Of all rounds."""
        with told("a fetched commit cannot be kept"):
            store.prepare()
            store.files.make_folder(self._folder)
            store.files.unlink(self._folder / DRAFT)
            self._there = self._found()

    def missing(self) -> list[Sized]:
        """The objects that neither the store nor an earlier fetch has."""
        return [one for one in self._objects if one[0] not in self._there]

    def ask(self) -> bytes:
        """Begin a stream of all that is missing: the bits to ask for it."""
        wanted = self.missing()
        self._reader = BundleReader(wanted)
        return bits_of(self._objects, {digest for digest, _ in wanted})

    @property
    def streamed(self) -> bool:
        """Whether the stream is whole; objects may still be missing at the sender."""
        return self._reader.done

    def take(self, data: bytes) -> None:
        """Take bytes of the stream; raises BadImage for content of another digest, HostFailed."""
        with told("a fetched image cannot be written"):
            for found in self._reader.feed(data):
                match found:
                    case Piece():
                        self._write(found)
                    case Missing():
                        pass
        self.received_bytes += len(data)

    def close(self) -> None:
        """End a stream that was cut off; what is whole stays."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def finish(self, point: Callable[[str], None]) -> None:
        """Put all into the store, and have `point` point to the commit.

        Raises BadImage while an object is missing, HostFailed.
        """
        fresh = {
            digest: path for digest, _ in self._objects if (path := self._folder / digest).exists()
        }
        self._store.adopt(self._raw, self._text, self._tree, fresh, point)
        with told("what is left of a fetch cannot be removed"):
            self._store.files.remove_tree(self._folder)

    def _found(self) -> set[str]:
        places = self._store.places
        return {
            digest
            for digest, size in self._objects
            if size in (_size(places.object(digest)), _size(places.quarantined(digest)))
            or self._kept(digest, size)
        }

    def _kept(self, digest: str, size: int) -> bool:
        """Whether an earlier fetch has left the object whole; a crash may have cut it."""
        path = self._folder / digest
        if _size(path) is None:
            return False
        if _size(path) == size and _digest(path) == digest:
            return True
        self._store.files.unlink(path)
        return False

    def _write(self, piece: Piece) -> None:
        draft = self._folder / DRAFT
        if self._open is None:
            self._open = piece.digest, self._store.files.open_new(draft), hashlib.sha256()
        digest, stream, found = self._open
        stream.write(piece.content)
        found.update(piece.content)
        if not piece.last:
            return
        stream.close()
        self._open = None
        if found.hexdigest() != digest:
            self._store.files.unlink(draft)
            raise BadImage(f"the object {digest} came with another content")
        self._store.files.rename(draft, self._folder / digest)
        self._there.add(digest)


def _unpacked(packed: bytes, name: str) -> bytes:
    try:
        text = zlib.decompressobj().decompress(packed, manifests.MANIFEST_MAX)
    except zlib.error as error:
        raise BadImage(f"the manifest {name} came damaged: {error}") from error
    if manifests.name_of(text) != name:
        raise BadImage(f"the manifest {name} came with another content")
    return text


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _size(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None
