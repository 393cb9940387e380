"""Merges two trees that come from one: for `merge` and `revert` of commits; pure.

Type, content, mode, owner and attributes go by the rules of moved overlays (core/rebase.py): our
changes since the base are laid over the other tree.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from qvdnode.image.core.manifest import ROOT, Kind, Node, Tree, encode
from qvdnode.image.core.rebase import Action, Decision, Overlay, Version, rebase
from qvdnode.image.core.rebase_rules import Contents

ContentOf = Callable[[Node], bytes]
"""The content of a file; raises FarmError."""
Parents = Callable[[str], Iterable[str]]
"""The parents of a commit."""


@dataclass(frozen=True, slots=True)
class Contested:
    """A path that both sides changed, and that no rule settles."""

    path: bytes
    why: str
    settles: bool
    """Whether ours can be taken; not where the sides have other types of file there."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Both changes together."""

    tree: Tree
    written: Mapping[bytes, bytes]
    """The content of files that neither side has as it is; their nodes have its size alone."""
    contested: tuple[Contested, ...]


def merge_base(ours: str, theirs: str, parents: Parents) -> str | None:
    """The nearest commit that both come from; None if there is none."""
    own = _ancestors(ours, parents)
    common = [name for name in _ancestors(theirs, parents) if name in own]
    older = {above for name in common for above in _ancestors(name, parents) if above != name}
    return next((name for name in common if name not in older), None)


def merge_trees(base: Tree, ours: Tree, theirs: Tree, content_of: ContentOf) -> Merged:
    """Merge; where `contested` says so, the tree has ours. Raises FarmError."""
    overlay = _overlay(base, ours)
    old, new = Version(encode(base)), Version(encode(theirs))
    decisions = rebase(old, new, overlay, _Contents(overlay, content_of))
    found = {path: _file(theirs, path) for path in theirs}
    written: dict[bytes, bytes] = {}
    for made in decisions:
        _apply(made, found, overlay, written)
    contested = [
        Contested(made.path, _why(made.look), made.action is not Action.ASIDE)
        for made in decisions
        if made.look
    ]
    _add_folders(found, ours, contested)
    return Merged(_linked(found, ours, theirs), written, tuple(contested))


class _Contents(Contents):
    def __init__(self, overlay: Overlay, content_of: ContentOf) -> None:
        self._overlay = overlay
        self._content_of = content_of

    def of_image(self, node: Node) -> bytes:
        return self._content_of(node)

    def of_user(self, path: bytes) -> bytes:
        return self._content_of(self._overlay.nodes[path])


def _why(look: str) -> str:
    """What the rules tell of a desktop and its image, in words for two branches."""
    plain = look.partition(":")[0].replace("in the new version of the image", "on each side")
    return plain.replace("you ", "one side ").replace("the image ", "the other ")


def _ancestors(start: str, parents: Parents) -> list[str]:
    """A commit and all before it, the nearest first."""
    found = [start]
    seen = {start}
    for name in found:
        for parent in parents(name):
            if parent not in seen:
                seen.add(parent)
                found.append(parent)
    return found


def _overlay(base: Tree, ours: Tree) -> Overlay:
    """What we changed, as an overlay would have it; each name of a changed file counts."""
    nodes = {
        path: _file(ours, path)
        for path in ours
        if path not in base or _file(base, path) != _file(ours, path)
    }
    return Overlay(nodes, [path for path in base if path not in ours])


def _file(tree: Tree, path: bytes) -> Node:
    node = tree[path]
    return tree[node.payload] if node.kind == Kind.HARDLINK else node


def _apply(
    made: Decision, found: dict[bytes, Node], overlay: Overlay, written: dict[bytes, bytes]
) -> None:
    path = made.path
    match made.action:
        case Action.DROP:
            return
        case Action.HIDE:
            found.pop(path, None)
        case Action.KEEP if path in overlay.deleted:
            _remove(found, path)
        case Action.KEEP | Action.ASIDE:
            _put(found, path, overlay.nodes[path])
        case _:
            if made.content is not None and made.node is not None:
                written[path] = made.content
            _put(found, path, made.node or overlay.nodes[path])


def _put(found: dict[bytes, Node], path: bytes, node: Node) -> None:
    if node.kind != Kind.FOLDER and path in found and found[path].kind == Kind.FOLDER:
        _remove(found, path)
    found[path] = node


def _remove(found: dict[bytes, Node], path: bytes) -> None:
    for inner in [inner for inner in found if inner == path or inner.startswith(path + b"/")]:
        del found[inner]


def _add_folders(found: dict[bytes, Node], ours: Tree, contested: list[Contested]) -> None:
    """Give back folders that the other side deleted, and that something of ours is in."""
    for path in sorted(found):
        above = path.rpartition(b"/")[0]
        while above and above not in found:
            found[above] = ours.get(above, Node(Kind.FOLDER, 0o755))
            above = above.rpartition(b"/")[0]
    for path in sorted(found):
        above = path.rpartition(b"/")[0] or ROOT
        if path != ROOT and found.get(above, found[ROOT]).kind != Kind.FOLDER:
            contested.append(
                Contested(
                    path, "the folder that it is in is a file on the other side", settles=False
                )
            )
            del found[path]


def _linked(found: dict[bytes, Node], ours: Tree, theirs: Tree) -> dict[bytes, Node]:
    """Names of one file as hard links, where they are the same still."""
    tree: dict[bytes, Node] = {}
    for path in sorted(found):
        named = ours.get(path) or theirs.get(path)
        target = named.payload if named is not None and named.kind == Kind.HARDLINK else path
        if target != path and found.get(target) == found[path]:
            there = tree[target]
            first = there.payload if there.kind == Kind.HARDLINK else target
            tree[path] = Node(Kind.HARDLINK, payload=first)
        else:
            tree[path] = found[path]
    return tree
