"""Lays a desktop's changes over the tree it started from; pure.

What belongs to the one desktop stays as it was in the image: its name and ids, logs, caches, homes
and the user's account.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from qvdnode.image.core.manifest import ROOT, Kind, Node, Tree

OWN_BELOW: Final = (
    b"/dev/", b"/home/", b"/media/", b"/mnt/", b"/proc/", b"/run/", b"/sys/", b"/tmp/",
    b"/root/.cache/", b"/var/cache/apt/archives/", b"/var/lib/apt/lists/", b"/var/log/",
    b"/var/tmp/", b"/etc/ssh/ssh_host_",
)  # fmt: skip
"""What starts so is as in the image."""
OWN: Final = frozenset(
    {
        b"/etc/.pwd.lock", b"/etc/group-", b"/etc/gshadow-", b"/etc/hostname", b"/etc/hosts",
        b"/etc/localtime", b"/etc/machine-id", b"/etc/passwd-", b"/etc/resolv.conf",
        b"/etc/shadow-", b"/etc/timezone", b"/root/.bash_history", b"/var/lib/dbus/machine-id",
    }
)  # fmt: skip
"""Paths that are as in the image."""
ACCOUNTS: Final[tuple[bytes, ...]] = (
    b"/etc/passwd",
    b"/etc/group",
    b"/etc/shadow",
    b"/etc/gshadow",
)
"""Files that have the user's account among those of the image."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a desktop wrote: the upper folder of its overlay."""

    nodes: Mapping[bytes, Node]
    """New and changed paths."""
    deleted: Collection[bytes] = ()
    """Paths of the image that are gone, with all below them."""
    emptied: Collection[bytes] = ()
    """Folders that show nothing of what the image has in them."""


def is_own(path: bytes) -> bool:
    """Whether a path belongs to the one desktop, not to the image."""
    return path in OWN or path.startswith(OWN_BELOW)


def merge(base: Tree, changes: Changes) -> dict[bytes, Node]:
    """The tree of the image with the changes, without what is the desktop's own."""
    gone = {path for path in changes.deleted if not is_own(path)}
    emptied = {path for path in changes.emptied if not is_own(path)}
    found: dict[bytes, tuple[str, Node]] = {}
    for path, node in base.items():
        if is_own(path) or not (_is_below(path, gone, itself=True) or _is_below(path, emptied)):
            found[path] = _resolved("image", path, node, base)
    for path, node in changes.nodes.items():
        if is_own(path):
            continue
        if node.kind != Kind.FOLDER:
            _drop_below(found, path)
        found[path] = _resolved("desktop", path, node, changes.nodes)
    return _linked(_with_folders(found))


def _resolved(origin: str, path: bytes, node: Node, tree: Mapping[bytes, Node]) -> tuple[str, Node]:
    """Which file it is, and what it holds."""
    if node.kind == Kind.HARDLINK:
        return f"{origin} {node.payload.hex()}", tree[node.payload]
    return f"{origin} {path.hex()}", node


def _is_below(path: bytes, folders: set[bytes], *, itself: bool = False) -> bool:
    if not folders:
        return False
    if itself and path in folders:
        return True
    above = path.rpartition(b"/")[0]
    while above:
        if above in folders:
            return True
        above = above.rpartition(b"/")[0]
    return False


def _drop_below(found: dict[bytes, tuple[str, Node]], path: bytes) -> None:
    """A folder of the image that is a file now has nothing in it any more."""
    if path in found and found[path][1].kind == Kind.FOLDER:
        for inner in [inner for inner in found if inner.startswith(path + b"/")]:
            del found[inner]


def _with_folders(found: dict[bytes, tuple[str, Node]]) -> dict[bytes, tuple[str, Node]]:
    """Only what is in a folder: the desktop's own may have been in one that is gone."""
    kept: dict[bytes, tuple[str, Node]] = {}
    for path in sorted(found):
        above = path.rpartition(b"/")[0] or ROOT
        if path == ROOT or (above in kept and kept[above][1].kind == Kind.FOLDER):
            kept[path] = found[path]
    return kept


def _linked(found: dict[bytes, tuple[str, Node]]) -> dict[bytes, Node]:
    """Names of one file as hard links to the first of them."""
    first: dict[str, bytes] = {}
    tree: dict[bytes, Node] = {}
    for path, (file, node) in found.items():
        known = first.setdefault(file, path)
        tree[path] = node if known == path else Node(Kind.HARDLINK, payload=known)
    return tree
