"""Gives files of a kept overlay to another range of ids. Everything blocks."""

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from qvdnode.image.core.guest_ids import CAPABILITY, shifted_acl
from qvdnode.image.core.manifest import ACLS
from qvdnode.model.guest import IdRange

_CAPABILITY_BYTES: Final = 24
_REVISION: Final = 0xFF00_0000
_REVISION_3: Final = 0x0300_0000


def shift(root: Path, old: IdRange, new: IdRange) -> int:
    """Move the owners of all files below a folder, and itself, by the distance of the ranges.

    Safe to repeat after an interruption: what is not of the old range stays. Returns how many files
    it changed; raises OSError.
    """
    changed = 0
    for place in _all(os.fsencode(root)):
        facts = os.lstat(place)
        uid, gid = (_moved(number, old, new) for number in (facts.st_uid, facts.st_gid))
        kept = _attributes(place, old, new)
        if (uid, gid) != (facts.st_uid, facts.st_gid):
            os.chown(place, uid, gid, follow_symlinks=False)
            changed += 1
            # A change of the owner takes these bits away.
            if not stat.S_ISLNK(facts.st_mode) and facts.st_mode & 0o6000:
                os.chmod(place, stat.S_IMODE(facts.st_mode))  # noqa: PTH101 - the path is bytes
        for name, value in kept:
            os.setxattr(place, name, value, follow_symlinks=False)
    return changed


def capability_of(value: bytes, root: int) -> bytes:
    """Capabilities as a guest whose root has this id on the host gives them."""
    if len(value) != _CAPABILITY_BYTES - 4:
        return value
    magic = int.from_bytes(value[:4], "little") & ~_REVISION | _REVISION_3
    return magic.to_bytes(4, "little") + value[4:] + struct.pack("<I", root)


def _all(root: bytes) -> Iterator[bytes]:
    yield root
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry.path
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _moved(number: int, old: IdRange, new: IdRange) -> int:
    return number - old.start + new.start if _is_of(number, old) else number


def _is_of(number: int, ids: IdRange) -> bool:
    return ids.start <= number < ids.start + ids.count


def _attributes(place: bytes, old: IdRange, new: IdRange) -> list[tuple[str, bytes]]:
    """The attributes that name ids, with the new ones; capabilities also, which chown removes."""
    found = []
    for name in os.listxattr(place, follow_symlinks=False):
        raw = os.fsencode(name)
        if raw == CAPABILITY:
            value = os.getxattr(place, name, follow_symlinks=False)
            found.append((name, _capability(value, old, new)))
        elif raw in ACLS:
            value = os.getxattr(place, name, follow_symlinks=False)
            found.append((name, shifted_acl(value, lambda number: _moved(number, old, new))))
    return found


def _capability(value: bytes, old: IdRange, new: IdRange) -> bytes:
    if len(value) != _CAPABILITY_BYTES:
        return value
    root = struct.unpack("<I", value[-4:])[0]
    return value[:-4] + struct.pack("<I", _moved(root, old, new))
