"""Writes entries of a root file system as a tar, without losing anything but sockets."""

import tarfile
from collections.abc import Iterator
from typing import Final

from qvdnode.image.core.manifest import Kind, Node

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
"""What a tar ends with."""
_TYPES: Final = {
    Kind.FOLDER: tarfile.DIRTYPE,
    Kind.FILE: tarfile.REGTYPE,
    Kind.INLINE: tarfile.REGTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.CHARACTER: tarfile.CHRTYPE,
    Kind.BLOCK: tarfile.BLKTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
    Kind.HARDLINK: tarfile.LNKTYPE,
}


def header(path: bytes, node: Node) -> bytes | None:
    """The header of an absolute path; None for a socket, which no tar holds.

    A hard link's target is a path that came before.
    """
    kind = _TYPES.get(node.kind)
    if kind is None:
        return None
    info = tarfile.TarInfo(_name(path))
    info.type, info.mode, info.uid, info.gid = kind, node.mode, node.uid, node.gid
    if kind == tarfile.REGTYPE:
        info.size = node.size
    elif node.kind == Kind.SYMLINK:
        info.linkname = _text(node.payload)
    elif node.kind == Kind.HARDLINK:
        info.linkname = _name(node.payload)
    elif node.kind in {Kind.CHARACTER, Kind.BLOCK}:
        info.devmajor, info.devminor = node.device
    if node.kind != Kind.HARDLINK:
        attributes = {f"SCHILY.xattr.{_text(name)}": _text(value) for name, value in node.xattrs}
        info.pax_headers = {"mtime": _seconds(node.mtime_ns), **attributes}
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """What follows a content of that size."""
    return bytes(-size % BLOCK)


def whole(path: bytes, node: Node, content: Iterator[bytes]) -> Iterator[bytes]:
    """An entry with its content, if it has any."""
    head = header(path, node)
    if head is None:
        return
    yield head
    if node.kind in {Kind.FILE, Kind.INLINE}:
        yield from content
        yield padding(node.size)


def _name(path: bytes) -> str:
    return "./" + _text(path.lstrip(b"/"))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _seconds(nanoseconds: int) -> str:
    whole_s, rest = divmod(abs(nanoseconds), 10**9)
    return f"{'-' if nanoseconds < 0 else ''}{whole_s}.{rest:09}"
