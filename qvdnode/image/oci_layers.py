"""OCI layouts and Docker archives as one tar of a root file system. Everything blocks.

Layers are read twice and never unpacked: once to learn which entry of which layer is what at the
end, and once to pass on the content of those.
"""

import gzip
import hashlib
import io
import os
import platform
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from qvdnode.image import tar_entries
from qvdnode.image.core import file_signatures, oci
from qvdnode.image.core.entry import Entry, EntryKind
from qvdnode.image.core.layers import LayerTree
from qvdnode.image.core.manifest import Kind, Node
from qvdnode.image.tar_writing import END, whole
from qvdnode.model.errors import BadImage
from qvdnode.runtime.safe_files import open_regular

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK: Final = 256 * 1024
ENTRIES_MAX: Final = 4_000_000
SIZE_MAX_BYTES: Final = 128 << 30
"""Size of all layers together; a hole counts with its whole length."""
ARCHITECTURES: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
_KINDS: Final = {
    EntryKind.FOLDER: Kind.FOLDER,
    EntryKind.SYMLINK: Kind.SYMLINK,
    EntryKind.FIFO: Kind.FIFO,
}

Open = Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, which can be opened several times."""

    open: Open
    digest: str | None
    packed: bool
    """Whether that is the digest of what is kept, and not of what it is unpacked."""


def of_layout(folder: Path, tag: str | None) -> list[Layer]:
    """The layers of an image of an OCI layout; raises BadImage."""
    blob = oci.choose(oci.index(_small(folder / "index.json")), tag, _architecture())
    if blob.media_type in oci.INDEXES:  # one for each processor
        blob = oci.choose(oci.index(_blob(folder, blob)), None, _architecture())
    found = oci.manifest(_blob(folder, blob))
    return [Layer(_opener(_place(folder, one)), one.digest, packed=True) for one in found.layers]


@contextmanager
def of_docker_archive(file: Path, tag: str | None) -> Iterator[list[Layer]]:
    """The layers of an image of a Docker archive; raises BadImage."""
    try:
        with tarfile.open(file, "r:") as archive:
            members = {member.name.removeprefix("./"): member for member in archive.getmembers()}
            raw = _member(archive, members, "manifest.json").read(oci.DOCUMENT_MAX + 1)
            image = oci.choose_docker(oci.docker_images(raw), tag)
            config = _member(archive, members, image.config).read(oci.DOCUMENT_MAX + 1)
            digests = oci.diff_ids(config)
            if len(digests) != len(image.layers):
                raise BadImage("the configuration names other layers than manifest.json")
            yield [
                Layer(_member_opener(archive, members, name), digest, packed=False)
                for name, digest in zip(image.layers, digests, strict=True)
            ]
    except (*tar_entries.BROKEN, OSError) as error:
        raise BadImage(f"{file} cannot be read: {error}") from error


def flattened(layers: list[Layer]) -> Iterator[bytes]:
    """The tar of what the layers are together; raises BadImage."""
    try:
        tree = _merged(layers)
        yield from _written(layers, tree)
        yield END
    except tar_entries.BROKEN as error:
        raise BadImage(f"a layer is broken or cut off: {error}") from error


def _merged(layers: list[Layer]) -> LayerTree:
    tree, count, size = LayerTree(), 0, 0
    for layer in layers:
        tree.begin()
        for entry, _ in _entries(layer, checked=True):
            count, size = count + 1, size + max(entry.size, 0)
            if count > ENTRIES_MAX:
                raise BadImage(f"the layers have more than {ENTRIES_MAX} entries")
            if size > SIZE_MAX_BYTES:
                raise BadImage(f"the layers hold more than {SIZE_MAX_BYTES >> 30} GiB")
            tree.take(entry)
    return tree


def _written(layers: list[Layer], tree: LayerTree) -> Iterator[bytes]:
    for path, entry in tree.folders():
        if path or entry is not None:
            yield from whole(_raw(path), _node(entry), iter(()))
    files = tree.files()
    for number, layer in enumerate(layers):
        for member, (entry, content) in enumerate(_entries(layer, checked=False)):
            found = files.get((number, member))
            if found is not None:
                yield from _file(found[1], entry, content)


def _file(paths: list[str], entry: Entry, content: IO[bytes] | None) -> Iterator[bytes]:
    first, *others = sorted(map(_raw, paths))
    yield from whole(first, _node(entry), _content(content, entry.size))
    for path in others:
        yield from whole(path, Node(Kind.HARDLINK, payload=first), iter(()))


def _content(content: IO[bytes] | None, size: int) -> Iterator[bytes]:
    left = size
    while content is not None and left:
        piece = content.read(min(CHUNK, left))
        if not piece:
            raise BadImage("a layer is cut off in the middle of a file")
        left -= len(piece)
        yield piece


def _node(entry: Entry | None) -> Node:
    if entry is None:  # a folder that is there only for what is in it
        return Node(Kind.FOLDER, 0o755)
    owner = (entry.mode, entry.uid, entry.gid, entry.modified_ns)
    xattrs = tuple(sorted((_raw_text(name), value) for name, value in entry.attributes.items()))
    match entry.kind:
        case EntryKind.FILE:
            return Node(Kind.FILE, *owner, entry.size, b"", xattrs)
        case EntryKind.SYMLINK:
            return Node(Kind.SYMLINK, *owner, 0, _raw_text(entry.target), xattrs)
        case EntryKind.DEVICE:
            kind = Kind.BLOCK if entry.block else Kind.CHARACTER
            return Node(kind, *owner, 0, b"%d:%d" % entry.device, xattrs)
        case EntryKind.FOLDER | EntryKind.FIFO:
            return Node(_KINDS[entry.kind], *owner, 0, b"", xattrs)
        case _:
            raise BadImage(f"{entry.name!r} is a {entry.kind}")


def _entries(layer: Layer, *, checked: bool) -> Iterator[tuple[Entry, IO[bytes] | None]]:
    """The entries of a layer; its digest is compared at the end, where that is wanted."""
    with layer.open() as kept:
        packed = HashedStream(kept)
        with _decompressed(_buffered(packed)) as stream:
            plain = HashedStream(stream)
            yield from tar_entries.layer_entries(_buffered(plain))
            _drain(plain)
        _drain(packed)
        found = (packed if layer.packed else plain).hexdigest()
        if checked and layer.digest is not None and found != layer.digest:
            raise BadImage(f"a layer has another content than its digest {layer.digest[:12]} says")


class HashedStream(io.RawIOBase):
    """A stream that is hashed as it is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """As RawIOBase."""
        view = memoryview(buffer)
        data = self._source.read(len(view))
        self._hash.update(data)
        view[: len(data)] = data
        return len(data)

    def hexdigest(self) -> str:
        """Digest of what was read so far."""
        return self._hash.hexdigest()


def _buffered(raw: io.RawIOBase) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(raw, CHUNK))


def _drain(stream: io.RawIOBase) -> None:
    while stream.read(CHUNK):
        pass


@contextmanager
def _decompressed(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    head = stream.peek(file_signatures.HEAD_BYTES)[: file_signatures.HEAD_BYTES]  # type: ignore[attr-defined]  # of a BufferedReader
    if head.startswith(file_signatures.GZIP):
        yield cast(IO[bytes], gzip.GzipFile(fileobj=stream, mode="rb"))
    elif head.startswith(file_signatures.ZSTD):
        raise BadImage(
            "a layer is packed with zstd: copy the image with skopeo copy --dest-compress-format"
            " gzip, and import that"
        )
    else:
        yield stream


def _small(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(oci.DOCUMENT_MAX + 1)
    except OSError as error:
        raise BadImage(f"{path} cannot be read: {error.strerror}") from error


def _place(folder: Path, blob: oci.Blob) -> Path:
    return folder / "blobs" / "sha256" / blob.digest


def _blob(folder: Path, blob: oci.Blob) -> bytes:
    raw = _small(_place(folder, blob))
    if oci.digest_of(raw) != blob.digest:
        raise BadImage(f"the document {blob.digest[:12]} has another content than its digest says")
    return raw


def _opener(path: Path) -> Open:
    def opened() -> IO[bytes]:
        try:
            return open_regular(path)
        except OSError as error:
            raise BadImage(f"the layer {path} cannot be read: {error.strerror}") from error

    return opened


def _member(
    archive: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], name: str
) -> IO[bytes]:
    """A member by its name; older archives have links to layers that are the same."""
    for _ in range(2):
        found = members.get(name.removeprefix("./"))
        if found is None:
            break
        if found.isreg():
            content = archive.extractfile(found)
            if content is not None:
                return content
        name = os.path.normpath(f"{Path(name).parent}/{found.linkname}")
    raise BadImage(f"the archive has no file {name!r}")


def _member_opener(
    archive: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], name: str
) -> Open:
    return lambda: _member(archive, members, name)


def _architecture() -> str:
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def _raw(path: str) -> bytes:
    return b"/" + _raw_text(path)


def _raw_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
