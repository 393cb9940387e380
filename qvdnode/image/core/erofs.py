"""Writes EROFS images that hold the metadata of a tree and no file content; pure.

A file's content is not in the image: the file is a hole with the overlay attributes `metacopy` and
`redirect`, by which an overlay finds the content in its data-only layer at /ab/cdef..., the file's
digest. Files up to manifest.INLINE_MAX bytes are whole. Equal trees give equal bytes.

Layout (Documentation/filesystems/erofs.rst of Linux): block 0 has the superblock, then the inodes
with what is inline behind each, then the blocks of what is too large for that.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from qvdnode.image.core.manifest import ROOT, Kind, Node, Tree

BLOCK: Final = 4096
SLOT: Final = 32
"""An inode's number is its place behind the first block in slots of this size."""
INLINE_MAX: Final = 2_000
"""Largest tail that is put behind its inode; a larger one gets blocks."""

_MAGIC: Final = 0xE0F5E1E2
_SUPERBLOCK: Final = struct.Struct("<IIIBBHQQIIII")
_SUPERBLOCK_AT: Final = 1024
_FEATURE_INCOMPAT_AT: Final = _SUPERBLOCK_AT + 80
_HAS_MTIME: Final = 2
_HAS_CHUNKS: Final = 4
_INODE: Final = struct.Struct("<HHHHQIIIIQII")
_INODE_SIZE: Final = 64
_ENTRY: Final = struct.Struct("<QHBB")
_XATTR: Final = struct.Struct("<BBH")
_XATTR_HEADER: Final = bytes(12)
_NO_BLOCK: Final = b"\xff\xff\xff\xff"
_PLAIN, _INLINE, _CHUNKS = 0, 2, 4
_TYPES: Final = {
    Kind.FILE: (1, 0o100000), Kind.INLINE: (1, 0o100000), Kind.FOLDER: (2, 0o040000),
    Kind.CHARACTER: (3, 0o020000), Kind.BLOCK: (4, 0o060000), Kind.FIFO: (5, 0o010000),
    Kind.SOCKET: (6, 0o140000), Kind.SYMLINK: (7, 0o120000),
}  # fmt: skip
_PREFIXES: Final = ((b"user.", 1), (b"trusted.", 4), (b"security.", 6))
_ACLS: Final = {b"system.posix_acl_access": 2, b"system.posix_acl_default": 3}


@dataclass(slots=True)
class _Inode:
    """One inode while the image is laid out."""

    node: Node
    layout: int
    size: int
    xattrs: bytes
    tail: bytes = b""
    """Inline data or block data; of a folder it is filled in when all numbers are known."""
    links: int = 1
    place: int = 0
    block: int = 0
    children: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Names and paths of what is in a folder."""
    blocks: list[list[bytes]] = field(default_factory=list)
    """Names in each block of a folder."""

    @property
    def number(self) -> int:
        return (self.place - BLOCK) // SLOT

    @property
    def head(self) -> int:
        return _INODE_SIZE + len(self.xattrs)


def image_of(tree: Tree) -> bytes:
    """The bytes of the EROFS image of a tree."""
    inodes = _inodes(tree)
    end = _place(inodes)
    first_block = -(-end // BLOCK)
    _fill_folders(tree, inodes)
    blocks: list[bytes] = []
    position = first_block
    out = bytearray(first_block * BLOCK)
    for inode in inodes.values():
        if inode.layout == _PLAIN and inode.tail:
            inode.block = position
            padded = inode.tail + bytes(-len(inode.tail) % BLOCK)
            blocks.append(padded)
            position += len(padded) // BLOCK
        _write(out, inode)
    _SUPERBLOCK.pack_into(
        out, _SUPERBLOCK_AT, _MAGIC, 0, _HAS_MTIME, 12, 0, inodes[ROOT].number, len(inodes), 0, 0,
        position, 1, 0,
    )  # fmt: skip
    struct.pack_into("<I", out, _FEATURE_INCOMPAT_AT, _HAS_CHUNKS)
    return bytes(out) + b"".join(blocks)


def object_path(digest: str) -> str:
    """Where an object lies, seen from the folder of all objects."""
    return f"{digest[:2]}/{digest[2:]}"


def _inodes(tree: Tree) -> dict[bytes, _Inode]:
    """The inodes in the order in which they are laid out; hard links have none of their own."""
    made = {path: _inode(node) for path, node in tree.items() if node.kind != Kind.HARDLINK}
    for path, node in tree.items():
        if path == ROOT:
            continue
        folder, _, name = path.rpartition(b"/")
        made[folder or ROOT].children.append((name, path))
        if node.kind == Kind.HARDLINK:
            made[node.payload].links += 1
        elif node.kind == Kind.FOLDER:
            made[folder or ROOT].links += 1
    for inode in made.values():
        if inode.node.kind == Kind.FOLDER:
            _divide(inode)
    return made


def _inode(node: Node) -> _Inode:
    xattrs = list(node.xattrs)
    match node.kind:
        case Kind.FOLDER:
            return _Inode(node, _PLAIN, 0, _encode_xattrs(xattrs), links=2)
        case Kind.FILE:
            place = object_path(node.payload.decode()).encode()
            xattrs += [
                (b"trusted.overlay.metacopy", b""),
                (b"trusted.overlay.redirect", b"/" + place),
            ]
            return _Inode(node, _CHUNKS, node.size, _encode_xattrs(xattrs), _NO_BLOCK)
        case Kind.INLINE | Kind.SYMLINK:
            tail = node.payload
            layout = _INLINE if 0 < len(tail) <= INLINE_MAX else _PLAIN
            return _Inode(node, layout, len(tail), _encode_xattrs(xattrs), tail)
        case _:
            return _Inode(node, _PLAIN, 0, _encode_xattrs(xattrs))


def _divide(inode: _Inode) -> None:
    """Divide the names of a folder into blocks, and choose how it is stored."""
    blocks: list[list[bytes]] = [[]]
    used = 0
    for name in sorted([b".", b"..", *(name for name, _ in inode.children)]):
        needed = _ENTRY.size + len(name)
        if used + needed > BLOCK:
            blocks.append([])
            used = 0
        blocks[-1].append(name)
        used += needed
    inode.blocks = blocks
    inode.size = (len(blocks) - 1) * BLOCK + used
    if inode.size <= INLINE_MAX:
        inode.layout = _INLINE


def _place(inodes: dict[bytes, _Inode]) -> int:
    """Give each inode its place; returns the end of the last one."""
    position = BLOCK
    for inode in inodes.values():
        position = -(-position // SLOT) * SLOT
        behind = {_INLINE: inode.size, _CHUNKS: len(_NO_BLOCK)}.get(inode.layout, 0)
        tail = (position + inode.head) % BLOCK
        if inode.layout == _INLINE and tail + behind > BLOCK:  # inline data is in one block
            position += -(-(BLOCK - tail) // SLOT) * SLOT
        inode.place = position
        position += inode.head + behind
    return position


def _fill_folders(tree: Tree, inodes: dict[bytes, _Inode]) -> None:
    for path, inode in inodes.items():
        if inode.node.kind != Kind.FOLDER:
            continue
        above = inodes[path.rpartition(b"/")[0] or ROOT]
        entries = {b".": (inode.number, 2), b"..": (above.number, 2)}
        for name, child in inode.children:
            node = tree[child]
            own = inodes[node.payload if node.kind == Kind.HARDLINK else child]
            entries[name] = (own.number, _TYPES[own.node.kind][0])
        inode.tail = b"".join(_folder_blocks(inode.blocks, entries))


def _folder_blocks(
    blocks: list[list[bytes]], entries: dict[bytes, tuple[int, int]]
) -> Iterator[bytes]:
    for index, names in enumerate(blocks):
        offset = _ENTRY.size * len(names)
        heads = bytearray()
        for name in names:
            number, kind = entries[name]
            heads += _ENTRY.pack(number, offset, kind, 0)
            offset += len(name)
        block = bytes(heads) + b"".join(names)
        yield block if index == len(blocks) - 1 else block + bytes(BLOCK - len(block))


def _write(out: bytearray, inode: _Inode) -> None:
    node, union = inode.node, inode.block
    if node.kind in {Kind.CHARACTER, Kind.BLOCK}:
        major, minor = node.device
        union = (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
    elif inode.layout == _CHUNKS:
        union = max((inode.size - 1).bit_length(), 12) - 12
    count = (len(inode.xattrs) - len(_XATTR_HEADER)) // 4 + 1 if inode.xattrs else 0
    seconds, nanoseconds = divmod(node.mtime_ns, 10**9)
    _INODE.pack_into(
        out, inode.place, 1 | inode.layout << 1, count, _TYPES[node.kind][1] | node.mode, 0,
        inode.size, union, inode.number + 1, node.uid, node.gid, seconds & (2**64 - 1),
        nanoseconds, inode.links,
    )  # fmt: skip
    start = inode.place + _INODE_SIZE
    behind = inode.xattrs + (inode.tail if inode.layout in {_INLINE, _CHUNKS} else b"")
    out[start : start + len(behind)] = behind


def _encode_xattrs(xattrs: list[tuple[bytes, bytes]]) -> bytes:
    out = bytearray()
    for name, value in sorted(xattrs):
        index, rest = _prefix(name)
        entry = _XATTR.pack(len(rest), index, len(value)) + rest + value
        out += entry + bytes(-len(entry) % 4)
    return _XATTR_HEADER + bytes(out) if out else b""


def _prefix(name: bytes) -> tuple[int, bytes]:
    if name in _ACLS:
        return _ACLS[name], b""
    return next((index, name[len(p) :]) for p, index in _PREFIXES if name.startswith(p))
