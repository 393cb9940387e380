"""Which object of an older tree each object of a newer one is sent as a patch on; pure.

A file's content is most like what stood at its path before. Where nothing did, as with libraries
that have their version in their name, it is that of the file of the same folder whose name differs
only by digits.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from qvdnode.image.core.manifest import Kind, Tree

_DIGITS: Final = re.compile(rb"[0-9]+")


@dataclass(frozen=True, slots=True)
class Step:
    """One object to send."""

    digest: str
    size: int
    base: str | None = None
    """What it is a patch on."""
    base_size: int = 0


def steps(old: Tree | None, new: Tree, wanted: Collection[str]) -> list[Step]:
    """How to send the wanted objects of the new tree to who has all of the old one.

    Each comes once, in the order of the new tree's paths.
    """
    near = {} if old is None else _by_stem(old)
    found: dict[str, Step] = {}
    for path, node in new.items():
        digest = node.payload.decode("ascii") if node.kind == Kind.FILE else ""
        if digest not in wanted or (digest in found and found[digest].base is not None):
            continue
        before = None if old is None else old.get(path) or near.get(_stem(path))
        if before is None or before.kind != Kind.FILE:
            found.setdefault(digest, Step(digest, node.size))
        else:
            found[digest] = Step(digest, node.size, before.payload.decode("ascii"), before.size)
    return list(found.values())


def _by_stem(tree: Tree) -> Tree:
    return {_stem(path): node for path, node in tree.items() if node.kind == Kind.FILE}


def _stem(path: bytes) -> bytes:
    return _DIGITS.sub(b"0", path)
