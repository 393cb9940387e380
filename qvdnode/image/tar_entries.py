"""Reads a tar stream, plain or compressed, entry by entry. Runs in the unpacking child."""

import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final, cast

from qvdnode.image.core import foreign
from qvdnode.image.core.entry import Entry, Kind, kept_attribute
from qvdnode.model.errors import BadImage

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BROKEN: Final = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""What reading an archive raises that is damaged or cut off."""

_BUFFER: Final = 1024 * 1024
_HEADER_MAX: Final = 1024 * 1024
"""Of one entry: names of 4 KiB, and attributes of 64 KiB each."""
_HEADERS: Final = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_XATTR: Final = "SCHILY.xattr."
_KINDS: Final = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.GNUTYPE_SPARSE: Kind.FILE,
    tarfile.DIRTYPE: Kind.FOLDER,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARDLINK,
    tarfile.FIFOTYPE: Kind.FIFO,
    tarfile.CHRTYPE: Kind.DEVICE,
    tarfile.BLKTYPE: Kind.DEVICE,
}


class _BoundedHeader(tarfile.TarInfo):
    """The library reads a header of any size into memory; this one refuses to."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        # The one way to come between a header's type and its content; the fuzzer would notice.
        if self.type in _HEADERS and not 0 <= self.size <= _HEADER_MAX:
            raise BadImage(f"the archive has a header of {self.size} bytes")
        return cast(tarfile.TarInfo, super()._proc_member(archive))  # type: ignore[misc]  # unknown to typeshed


class _StrictTar(tarfile.TarFile):
    """The library's reader ends quietly at a damaged header; this one tells."""

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


def entries(stream: IO[bytes]) -> Iterator[tuple[Entry, IO[bytes] | None]]:
    """Each entry with its content if it has some.

    Raises BadImage on what is no tar, and one of BROKEN, also while content is read.
    """
    with _StrictTar.open(fileobj=_checked(_decompressed(stream)), mode="r|") as archive:
        while (member := archive.next()) is not None:
            content = archive.extractfile(member) if _kind(member) is Kind.FILE else None
            yield _entry(member), content


class _Replayed(io.RawIOBase):
    """A stream whose start was taken off to look at, whole again."""

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
    """The start of a stream, and the stream as if nothing had been read."""
    head = b""
    while len(head) < foreign.HEAD_BYTES and (more := stream.read(foreign.HEAD_BYTES - len(head))):
        head += more
    return head, cast(IO[bytes], io.BufferedReader(_Replayed(head, stream), _BUFFER))


def _decompressed(stream: IO[bytes]) -> IO[bytes]:
    head, whole = _looked_at(stream)
    if head.startswith(foreign.GZIP):
        return cast(IO[bytes], gzip.GzipFile(fileobj=whole, mode="rb"))
    if head.startswith(foreign.XZ):
        return cast(IO[bytes], lzma.LZMAFile(whole))
    return whole


def _checked(stream: IO[bytes]) -> IO[bytes]:
    head, whole = _looked_at(stream)
    what = foreign.name_of(head)
    if what is not None:
        raise BadImage(f"only Linux images can be imported, as a tar of the root; this is {what}")
    if not head:
        raise BadImage("nothing was sent")
    if not foreign.is_tar(head):
        raise BadImage("this is no tar archive")
    return whole


def _kind(member: tarfile.TarInfo) -> Kind:
    return _KINDS.get(member.type, Kind.OTHER)


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
    )
