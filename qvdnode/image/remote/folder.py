"""A folder as a remote: an OCI layout for each image, maybe on a share that nodes have mounted."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from qvdnode.image.core import oci
from qvdnode.image.core.oci import Blob
from qvdnode.image.remote.blob_files import check_blob
from qvdnode.image.remote.ports import Count
from qvdnode.image.store.places import locked
from qvdnode.image.store.repository import told
from qvdnode.model.errors import BadImage

CHUNK: Final = 1 << 20
T = TypeVar("T")


class FolderPlace:
    """Satisfies ports.Place with an OCI layout, which is made by the first blob."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._blobs = root / "blobs" / "sha256"
        self._index = root / "index.json"

    async def tags(self) -> list[str]:
        """As Place."""
        return await self._do(lambda: [tag for tag, _ in self._entries()])

    async def document(self, tag: str) -> bytes | None:
        """As Place."""
        return await self._do(lambda: self._document(tag))

    async def put_document(self, raw: bytes, tag: str) -> None:
        """As Place."""
        await self._do(lambda: self._put_document(raw, tag))

    async def has(self, blob: Blob) -> bool:
        """As Place."""
        return await self._do(lambda: _size(self._blobs / blob.digest) == blob.size)

    async def put(self, blob: Blob, source: Path, count: Count) -> None:
        """As Place."""
        await self._do(lambda: self._put(blob, source, count))

    async def get(self, blob: Blob, target: Path, count: Count) -> None:
        """As Place."""
        await self._do(lambda: self._get(blob, target, count))

    async def _do(self, work: Callable[[], T]) -> T:
        def told_work() -> T:
            with told(f"the remote {self._root} cannot be used"):
                return work()

        return await asyncio.to_thread(told_work)

    def _document(self, tag: str) -> bytes | None:
        found = next((blob for name, blob in self._entries() if name == tag), None)
        if found is None:
            return None
        if found.size > oci.DOCUMENT_MAX:
            raise BadImage(f"{self._root} has a document that is too large")
        raw = (self._blobs / found.digest).read_bytes()
        if oci.digest_of(raw) != found.digest:
            raise BadImage(f"{self._root} has a document with another content: {found.digest}")
        return raw

    def _put_document(self, raw: bytes, tag: str) -> None:
        self._make()
        blob = Blob(oci.digest_of(raw), len(raw), oci.MANIFEST)
        _write(self._blobs / blob.digest, [raw])
        with locked(self._root / ".lock", exclusive=True):
            kept = [entry for entry in self._entries() if entry[0] != tag]
            _write(self._index, [oci.make_tagged_index([*kept, (tag, blob)])])

    def _put(self, blob: Blob, source: Path, count: Count) -> None:
        self._make()
        with source.open("rb", buffering=0) as stream:
            _write(self._blobs / blob.digest, _counted(stream.read, count), blob)

    def _get(self, blob: Blob, target: Path, count: Count) -> None:
        try:
            stream = (self._blobs / blob.digest).open("rb", buffering=0)
        except FileNotFoundError as error:
            raise BadImage(f"{self._root} lacks a part of it: {blob.digest}") from error
        with stream, target.open("wb") as copy:
            for chunk in _counted(stream.read, count):
                copy.write(chunk)
        check_blob(blob, target, str(self._root))

    def _entries(self) -> list[tuple[str, Blob]]:
        try:
            raw = self._index.read_bytes()
        except FileNotFoundError:
            return []
        return [(one.tag, one.blob) for one in oci.index(raw) if one.tag is not None]

    def _make(self) -> None:
        if not self._index.exists():
            self._blobs.mkdir(parents=True, exist_ok=True)
            _write(self._root / "oci-layout", [oci.LAYOUT])
            with locked(self._root / ".lock", exclusive=True):
                if not self._index.exists():
                    _write(self._index, [oci.make_tagged_index([])])


def _counted(read: Callable[[int], bytes | None], count: Count) -> Iterator[bytes]:
    while chunk := read(CHUNK):
        count(len(chunk))
        yield chunk


def _write(target: Path, chunks: Iterable[bytes], blob: Blob | None = None) -> None:
    """Write a file that has its name only when it is whole and on the disk; raises OSError."""
    draft = target.with_name(f".{secrets.token_hex(8)}.part")
    found = hashlib.sha256()
    try:
        with draft.open("xb") as stream:
            for chunk in chunks:
                stream.write(chunk)
                found.update(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        if blob is not None and found.hexdigest() != blob.digest:
            raise BadImage(f"what is to be sent has changed meanwhile: {blob.digest}")
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
