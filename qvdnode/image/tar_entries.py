"""Reads a tar stream, plain or compressed, entry by entry. Runs in the unpacking child."""

import gzip
import io
import lzma
import math
import re
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final, cast

from qvdnode.image.core import file_signatures
from qvdnode.image.core.entry import Entry, EntryKind, kept_attribute
from qvdnode.model.errors import BadImage

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BROKEN: Final = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""Errors raised on reading a damaged or truncated archive."""

_BUFFER: Final = 1024 * 1024
_HEADER_MAX: Final = 1024 * 1024
"""Most bytes of one entry's header: names of 4 KiB, and attributes of 64 KiB each."""
_HEADERS: Final = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_XATTR: Final = "SCHILY.xattr."
_TIME: Final = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,20}))?")
_KINDS: Final = {
    tarfile.REGTYPE: EntryKind.FILE,
    tarfile.AREGTYPE: EntryKind.FILE,
    tarfile.CONTTYPE: EntryKind.FILE,
    tarfile.GNUTYPE_SPARSE: EntryKind.FILE,
    tarfile.DIRTYPE: EntryKind.FOLDER,
    tarfile.SYMTYPE: EntryKind.SYMLINK,
    tarfile.LNKTYPE: EntryKind.HARDLINK,
    tarfile.FIFOTYPE: EntryKind.FIFO,
    tarfile.CHRTYPE: EntryKind.DEVICE,
    tarfile.BLKTYPE: EntryKind.DEVICE,
}


class _BoundedHeader(tarfile.TarInfo):
    """The library reads a header of any size into memory; this one refuses to."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        # The only hook between a header's type and its content; the fuzzer tests that it works.
        if self.type in _HEADERS and not 0 <= self.size <= _HEADER_MAX:
            raise BadImage(f"the archive has a header of {self.size} bytes")
        return cast(tarfile.TarInfo, super()._proc_member(archive))  # type: ignore[misc]  # unknown to typeshed


class _StrictTar(tarfile.TarFile):
    """The library's reader stops silently at a damaged header; this one raises."""

    tarinfo: type[tarfile.TarInfo] = _BoundedHeader
    firstmember: tarfile.TarInfo | None

    def next(self) -> tarfile.TarInfo | None:
        if self.firstmember is not None:
            first, self.firstmember = self.firstmember, None
            return first
        source = cast(IO[bytes], self.fileobj)
        source.seek(self.offset)
        try:
            return self.tarinfo.fromtarfile(self)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the zero block at the end
            return None
        except (tarfile.HeaderError, ValueError) as error:  # numbers that are none, in the latter
            raise tarfile.ReadError(str(error)) from error


def layer_entries(stream: IO[bytes]) -> Iterator[tuple[Entry, IO[bytes] | None]]:
    """The same of the plain tar of a layer, which may be empty."""
    head, whole = _looked_at(stream)
    if not any(head):
        return
    if not file_signatures.is_tar(head):
        raise BadImage("a layer is not a tar archive")
    for entry, content in _entries(whole):
        yield entry, content
        # The library would skip the rest of an entry behind the end of a cut file, block by block.
        while content is not None and content.read(_BUFFER):
            pass


def entries(stream: IO[bytes]) -> Iterator[tuple[Entry, IO[bytes] | None]]:
    """Yield each entry with its content, if it has any.

    Raises BadImage on what is not tar, and one of BROKEN, also while content is read.
    """
    return _entries(_checked(_decompressed(stream)))


def _entries(stream: IO[bytes]) -> Iterator[tuple[Entry, IO[bytes] | None]]:
    with _StrictTar.open(fileobj=stream, mode="r|") as archive:
        while (member := archive.next()) is not None:
            content = archive.extractfile(member) if _kind(member) is EntryKind.FILE else None
            yield _entry(member), content


class _Replayed(io.RawIOBase):
    """A stream that returns a start already read, then the rest."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer)
        data = self._head[: len(view)] or self._rest.read(len(view))
        self._head = self._head[len(data) :]
        view[: len(data)] = data
        return len(data)


def _looked_at(stream: IO[bytes]) -> tuple[bytes, IO[bytes]]:
    """Return the start of a stream, and a stream that includes it."""
    head = b""
    while len(head) < file_signatures.HEAD_BYTES and (
        more := stream.read(file_signatures.HEAD_BYTES - len(head))
    ):
        head += more
    return head, cast(IO[bytes], io.BufferedReader(_Replayed(head, stream), _BUFFER))


def _decompressed(stream: IO[bytes]) -> IO[bytes]:
    head, whole = _looked_at(stream)
    if head.startswith(file_signatures.GZIP):
        return cast(IO[bytes], gzip.GzipFile(fileobj=whole, mode="rb"))
    if head.startswith(file_signatures.XZ):
        return cast(IO[bytes], lzma.LZMAFile(whole))
    return whole


def _checked(stream: IO[bytes]) -> IO[bytes]:
    head, whole = _looked_at(stream)
    what = file_signatures.describe(head)
    if what is not None:
        raise BadImage(f"only Linux images can be imported, as a tar of the root; this is {what}")
    if not head:
        raise BadImage("nothing was sent")
    if not file_signatures.is_tar(head):
        raise BadImage("this is not a tar archive")
    return whole


def _kind(member: tarfile.TarInfo) -> EntryKind:
    return _KINDS.get(member.type, EntryKind.OTHER)


def _entry(member: tarfile.TarInfo) -> Entry:
    attributes = {
        key.removeprefix(_XATTR): value.encode("utf-8", errors="surrogateescape")
        for key, value in member.pax_headers.items()
        if key.startswith(_XATTR) and kept_attribute(key.removeprefix(_XATTR))
    }
    return Entry(
        name=member.name,
        kind=_kind(member),
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        modified=float(member.mtime),
        size=member.size,
        target=member.linkname,
        attributes=attributes,
        modified_ns=_nanoseconds(member),
        device=(member.devmajor, member.devminor),
        block=member.type == tarfile.BLKTYPE,
    )


def _nanoseconds(member: tarfile.TarInfo) -> int:
    """The time of change; the library rounds what a header of its own says exactly."""
    found = _TIME.fullmatch(member.pax_headers.get("mtime", ""))
    if found is None:
        return int(member.mtime) * 10**9 if math.isfinite(member.mtime) else 0
    sign = -1 if found[1] else 1
    return sign * (int(found[2]) * 10**9 + int((found[3] or "")[:9].ljust(9, "0")))
