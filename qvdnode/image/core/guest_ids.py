"""Turns files of a guest into files of an image: its ids on the host into its own; pure."""

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from qvdnode.image.core.manifest import ACLS, Kind, Node
from qvdnode.model.errors import BadImage

CAPABILITY: Final = b"security.capability"
_REVISION_2: Final = 0x0200_0000
_REVISION_3: Final = 0x0300_0000
_REVISION: Final = 0xFF00_0000
_ENTRY: Final = struct.Struct("<HHI")
_ACL_HEADER: Final = 4
_NAMED: Final = (0x02, 0x08)
"""Tags of entries of an ACL that name a user or a group."""


def unshifted(node: Node, start: int, count: int) -> Node:
    """The node with ids counted from `start`; raises BadImage for one that is not the guest's."""
    if node.kind == Kind.HARDLINK:
        return node
    xattrs = tuple((name, _xattr(name, value, start, count)) for name, value in node.xattrs)
    return replace(
        node, uid=_id(node.uid, start, count), gid=_id(node.gid, start, count), xattrs=xattrs
    )


def _id(number: int, start: int, count: int) -> int:
    if not start <= number < start + count:
        raise BadImage(f"a file belongs to {number}, which is not an id of the desktop")
    return number - start


def _xattr(name: bytes, value: bytes, start: int, count: int) -> bytes:
    if name == CAPABILITY:
        return _capability(value)
    if name in ACLS:
        return shifted_acl(value, lambda number: _id(number, start, count))
    return value


def _capability(value: bytes) -> bytes:
    """Capabilities without the user namespace in which they were given."""
    if len(value) != 24 or int.from_bytes(value[:4], "little") & _REVISION != _REVISION_3:
        return value
    magic = int.from_bytes(value[:4], "little") & ~_REVISION | _REVISION_2
    return magic.to_bytes(4, "little") + value[4:20]


def shifted_acl(value: bytes, move: Callable[[int], int]) -> bytes:
    """A list of rights whose ids are moved; raises BadImage for one that is not valid."""
    if len(value) < _ACL_HEADER or (len(value) - _ACL_HEADER) % _ENTRY.size:
        raise BadImage("a file has a list of rights that is not valid")
    entries = []
    for tag, rights, number in _ENTRY.iter_unpack(value[_ACL_HEADER:]):
        entries.append(_ENTRY.pack(tag, rights, move(number) if tag in _NAMED else number))
    return value[:_ACL_HEADER] + b"".join(entries)
