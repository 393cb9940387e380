"""A commit that is being fetched: its objects gather in a folder until all of them are there.

What came in an interrupted fetch stays for a day (store/collection.py), and is not sent again.
Everything blocks.
"""

import hashlib
import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from qvdnode.host.zstd import PATCH_MAX, Unpacker, unpacked
from qvdnode.image.core import commit as commits
from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.bundle import BundleReader, Missing, Piece, Sized, bits_of, in_order
from qvdnode.image.core.pack import Chunk, Head, PackReader, Tail
from qvdnode.image.store.repository import Prepared, Repository, told
from qvdnode.model.errors import BadImage

PREFIX: Final = "fetch-"
DRAFT: Final = "draft"
CHUNK: Final = 1024 * 1024
GROWTH_MAX: Final = 256 << 20
"""A manifest that comes as a patch is at most that much longer than its base."""


class PartialCommit:
    """One fetch; every object is checked by its digest before it gets its name."""

    def __init__(
        self, store: Repository, name: str, raw: bytes, packed: bytes, base: str | None = None
    ) -> None:
        """`raw` is the commit's text, `packed` its manifest as stores keep it.

        With `base`, the manifest is a patch on the one of that commit, which the store has.
        Raises BadImage when they are not what the names say, NotFound, HostFailed.
        """
        if commits.name_of(raw) != name:
            raise BadImage(f"what was sent is not the commit {name}: it has another digest")
        self._store = store
        self._raw = raw
        before = b"" if base is None else store.manifest(store.commit(base).manifest)
        self._text = _unpacked(packed, commits.decode(raw).manifest, before)
        self._tree = manifests.decode(self._text)
        self._objects = in_order(manifests.digests(self._tree.values()).items())
        self._sizes = dict(self._objects)
        self._folder = store.places.tmp / f"{PREFIX}{name}"
        self._bundle = BundleReader([])
        self._pack = PackReader()
        self._unpacker: tuple[str, Unpacker] | None = None
        self._open: _Draft | None = None
        self._prepared: Prepared | None = None
        self.received_bytes = 0
        """Of all rounds."""
        with told("a fetched commit cannot be kept"):
            store.prepare()
            store.files.make_folder(self._folder)
            store.files.unlink(self._folder / DRAFT)
            self._kept: set[str] = set()
            self._there = self._found()

    def missing(self) -> list[Sized]:
        """The objects that neither the store nor an earlier fetch has."""
        return [one for one in self._objects if one[0] not in self._there]

    def ask(self) -> bytes:
        """Begin a stream of all that is missing: the bits to ask for it."""
        wanted = self.missing()
        self._bundle = BundleReader(wanted)
        return bits_of(self._objects, {digest for digest, _ in wanted})

    @property
    def streamed(self) -> bool:
        """Whether the stream is whole; objects may still be missing at the sender."""
        return self._bundle.done

    @property
    def unpacked(self) -> bool:
        """Whether the pack is whole; objects may still be missing."""
        return self._pack.done

    def take(self, data: bytes) -> None:
        """Take bytes of the stream; raises BadImage for content of another digest, HostFailed."""
        with told("a fetched image cannot be written"):
            for found in self._bundle.feed(data):
                match found:
                    case Piece():
                        draft = self._open or self._begin(found.digest)
                        draft.write(found.content)
                        if found.last:
                            self._end(draft)
                    case Missing():
                        pass
        self.received_bytes += len(data)

    def begin_pack(self) -> None:
        """Begin a pack: what comes next is its first byte."""
        self.close()
        self._pack = PackReader()

    def take_pack(self, data: bytes) -> None:
        """Take bytes of a pack; objects that are not missing are passed over.

        Raises BadImage, HostFailed.
        """
        with told("a fetched image cannot be written"):
            for part in self._pack.feed(data):
                match part:
                    case Head():
                        self._unpacker = self._head(part)
                    case Chunk() if self._unpacker is not None and self._open is not None:
                        for content in self._unpacker[1].feed(part.data):
                            self._open.write(content)
                    case Tail() if self._unpacker is not None and self._open is not None:
                        if not self._unpacker[1].done:
                            raise BadImage(f"the object {self._open.digest} came cut off")
                        self._end(self._open)
                        self._unpacker = None
                    case _:
                        pass
        self.received_bytes += len(data)

    def close(self) -> None:
        """End a stream that was cut off; what is whole stays."""
        if self._open is not None:
            self._open.stream.close()
            self._open = None
        self._unpacker = None

    def prepare(self) -> None:
        """Make what the store keeps beside objects, while those come: it takes a while."""
        self._prepared = self._store.prepared(self._text, self._tree)

    def finish(self, point: Callable[[str], None]) -> None:
        """Put all into the store, and have `point` point to the commit.

        Raises BadImage while an object is missing, HostFailed.
        """
        fresh = {digest: self._folder / digest for digest in self._kept}
        self._store.adopt(self._raw, self._text, self._tree, fresh, point, self._prepared)
        with told("what is left of a fetch cannot be removed"):
            self._store.files.remove_tree(self._folder)

    def _found(self) -> set[str]:
        """The objects that are there. Only what a listing has is asked for its size."""
        places = self._store.places
        listed, quarantine = _listed(places.objects), _names(places.quarantine)
        earlier, found = _names(self._folder), set()
        for digest, size in self._objects:
            if (digest in listed and _size(places.object(digest)) == size) or (
                digest in quarantine and _size(places.quarantined(digest)) == size
            ):
                found.add(digest)
            elif digest in earlier and self._is_whole(digest, size):
                found.add(digest)
                self._kept.add(digest)
        return found

    def _is_whole(self, digest: str, size: int) -> bool:
        """Whether an earlier fetch has left the object whole; a crash may have cut it."""
        path = self._folder / digest
        if _size(path) == size and _digest(path) == digest:
            return True
        self._store.files.unlink(path)
        return False

    def _head(self, head: Head) -> tuple[str, Unpacker] | None:
        size = self._sizes.get(head.digest)
        if size is None or head.digest in self._there:
            return None
        base = b""
        if head.base is not None:
            path = self._store.places.object(head.base)
            if max(size, _size(path) or 0) > PATCH_MAX:
                raise BadImage(f"the object {head.digest} is too large to come as a patch")
            base = self._store.content(head.base)
        self._begin(head.digest)
        return head.digest, Unpacker(size, base)

    def _begin(self, digest: str) -> "_Draft":
        self._open = _Draft(digest, self._store.files.open_new(self._folder / DRAFT))
        return self._open

    def _end(self, draft: "_Draft") -> None:
        draft.stream.close()
        self._open = None
        path = self._folder / DRAFT
        if draft.hash.hexdigest() != draft.digest:
            self._store.files.unlink(path)
            raise BadImage(f"the object {draft.digest} came with another content")
        self._store.files.rename(path, self._folder / draft.digest)
        self._there.add(draft.digest)
        self._kept.add(draft.digest)


class _Draft:
    """An object that is being written."""

    __slots__ = ("digest", "hash", "stream")

    def __init__(self, digest: str, stream: BinaryIO) -> None:
        self.digest = digest
        self.stream = stream
        self.hash = hashlib.sha256()

    def write(self, content: bytes | memoryview) -> None:
        """Write some of it; raises OSError."""
        self.stream.write(content)
        self.hash.update(content)


def _unpacked(packed: bytes, name: str, base: bytes) -> bytes:
    try:
        if base:
            text = unpacked(packed, len(base) + GROWTH_MAX, base)
        else:
            text = zlib.decompressobj().decompress(packed, manifests.MANIFEST_MAX)
    except (zlib.error, BadImage) as error:
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


def _names(folder: Path) -> set[str]:
    with suppress(FileNotFoundError):
        return {entry.name for entry in os.scandir(folder)}
    return set()


def _listed(objects: Path) -> set[str]:
    """The digests of all objects."""
    return {f"{part}{name}" for part in _names(objects) for name in _names(objects / part)}
