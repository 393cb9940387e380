"""Moves the changes of a desktop from one version of its image to another; pure.

Three states of each path are compared: in the old version, in the new one, and in the overlay.
Type, content, mode, owner and each extended attribute are merged one by one. What only one side
changed is taken; what both changed goes by the rule of its path (core/rebase_rules.py).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeVar

from qvdnode.image.core import three_way
from qvdnode.image.core.manifest import Kind, Node, Xattrs, escape, lines, parse_line
from qvdnode.image.core.rebase_rules import Contents, Rule, packages_of_both, rule_of

T = TypeVar("T")

USER_OLD: Final = b".user-old"
BASE_NEW: Final = b".base-new"
TEXT_MAX: Final = 1024 * 1024
"""Larger files are not merged by lines."""
UNREAD: Final = b"-"
"""The payload of a file in the overlay whose size tells that it is neither version's."""


class Action(StrEnum):
    """What becomes of an entry of the overlay."""

    KEEP = "keep"
    DROP = "drop"
    """It goes: the new version shows what it should."""
    ATTRIBUTES = "attributes"
    """It stays, with merged attributes."""
    REPLACE = "replace"
    """It gets the new version's or merged content, with merged attributes."""
    ASIDE = "aside"
    """It is renamed to PATH.user-old, and the new version shows."""
    HIDE = "hide"
    """The path, which the new version added, is deleted as the package that it is of."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one path, and why."""

    path: bytes
    action: Action
    rule: str
    look: str = ""
    """Why a person should look at it, as a clause; empty if not."""
    node: Node | None = None
    """The merged attributes, and for REPLACE the content: a digest, or the content itself."""
    content: bytes | None = None
    """Merged content; None for that of `node`."""
    beside: Node | None = None
    """The new version's file, which is put beside the user's as PATH.base-new."""


class Version:
    """The tree of one version, whose lines are parsed when they are asked for."""

    def __init__(self, manifest: bytes) -> None:
        self.text = manifest
        self.lines = {line.partition(b" ")[0]: line for line in lines(manifest)}
        """The lines of the manifest by their path, as it is written there."""

    def node(self, path: bytes) -> Node | None:
        """The node of a path, of the file itself for a hard link."""
        line = self.lines.get(escape(path).encode("ascii"))
        if line is None:
            return None
        node = parse_line(line)[1]
        return self.node(node.payload) if node.kind == Kind.HARDLINK else node

    def changed_from(self, other: "Version") -> list[bytes]:
        """The paths that are not the same in both, as a manifest writes them."""
        return [
            path
            for path in self.lines.keys() | other.lines.keys()
            if self.lines.get(path) != other.lines.get(path)
        ]


@dataclass(frozen=True, slots=True)
class Overlay:
    """What a desktop changed."""

    nodes: Mapping[bytes, Node]
    deleted: Collection[bytes] = ()
    emptied: Collection[bytes] = ()
    """Folders that show nothing of what the image has in them."""


def sizes_of(*versions: Version) -> Callable[[bytes], set[int]]:
    """Return what tells the sizes that a path has in these versions."""
    return lambda path: {node.size for v in versions if (node := v.node(path)) is not None}


def rebase(old: Version, new: Version, overlay: Overlay, contents: Contents) -> list[Decision]:
    """Decide for each path of the overlay, in the order of the paths; raises FarmError."""
    return _Rebase(old, new, overlay, contents).decisions()


class _Rebase:
    def __init__(self, old: Version, new: Version, overlay: Overlay, contents: Contents) -> None:
        self._old, self._new = old, new
        self._overlay = overlay
        self._contents = contents
        self._changed = [path + b"/" for path in new.changed_from(old)]
        self._units = packages_of_both(old.node, new.node, overlay.nodes, contents)
        self._found: dict[bytes, Decision] = {}

    def decisions(self) -> list[Decision]:
        aside: bytes | None = None
        for path in sorted({*self._overlay.nodes, *self._overlay.deleted}):
            if aside is not None and path.startswith(aside):
                # It moves with the folder; a mark of a deletion means nothing there.
                if path in self._overlay.deleted:
                    self._found[path] = Decision(path, Action.DROP, "aside")
                continue
            self._found[path] = made = self._one(path)
            if made.action is Action.ASIDE:
                aside = path + b"/"
        for path in self._units.hidden:
            node = self._new.node(path)
            if path not in self._found and node is not None and node.kind != Kind.FOLDER:
                self._found[path] = Decision(path, Action.HIDE, Rule.PACKAGE)
        self._keep_folders()
        return [self._found[path] for path in sorted(self._found)]

    def _one(self, path: bytes) -> Decision:
        old, new = self._old.node(path), self._new.node(path)
        rule = rule_of(path)
        if path in self._overlay.deleted:
            return self._deleted(path, old, new, rule)
        user = self._user(path)
        if new is None:
            return self._without_new(path, old, user, rule)
        if _type(user) != _type(new):
            return self._other_type(path, old, new, user, rule)
        if _type(user) == Kind.FOLDER:
            return self._folder(path, old, new, user)
        return self._file(path, old, new, user, rule)

    def _user(self, path: bytes) -> Node:
        node = self._overlay.nodes[path]
        return self._overlay.nodes[node.payload] if node.kind == Kind.HARDLINK else node

    def _deleted(self, path: bytes, old: Node | None, new: Node | None, rule: Rule) -> Decision:
        if new is None:
            return Decision(path, Action.DROP, rule)
        if path in self._units.base:
            return Decision(path, Action.DROP, Rule.PACKAGE)
        unchanged = old == new and not self._changed_below(path)
        look = (
            "" if unchanged or path in self._units.user else "you deleted it, the image changed it"
        )
        return Decision(path, Action.KEEP, rule, look)

    def _without_new(self, path: bytes, old: Node | None, user: Node, rule: Rule) -> Decision:
        if old is None:
            return Decision(path, Action.KEEP, rule)
        same = _content(user) == _content(old) and _type(user) == _type(old)
        if same and path not in self._units.user:
            return Decision(path, Action.DROP, rule)
        look = "" if path in self._units.user else "you changed it, the image deleted it"
        return Decision(path, Action.KEEP, rule, look)

    def _other_type(
        self, path: bytes, old: Node | None, new: Node, user: Node, rule: Rule
    ) -> Decision:
        if old is not None and _type(old) == _type(new):
            changed = old != new or self._changed_below(path)
            if not changed:
                return Decision(path, Action.KEEP, rule)
        elif old is not None and _alike(old, user) and not self._has_below(path):
            return Decision(path, Action.DROP, rule)
        return Decision(
            path, Action.ASIDE, "type", "it is of another type in the new version of the image"
        )

    def _folder(self, path: bytes, old: Node | None, new: Node, user: Node) -> Decision:
        merged, look = _attributes(old or new, new, user)
        if path in self._overlay.emptied:
            if self._changed_below(path):
                look = look or "you replaced the folder, and the image changed files in it"
            return Decision(path, Action.ATTRIBUTES, "folder", look, merged)
        if _alike(merged, new):
            # Of its own it is not needed; `_keep_folders` looks whether there is anything in it.
            return Decision(path, Action.DROP, "folder", look, merged)
        return Decision(path, Action.ATTRIBUTES, "folder", look, merged)

    def _file(self, path: bytes, old: Node | None, new: Node, user: Node, rule: Rule) -> Decision:
        merged, look = _attributes(old, new, user)
        side = self._side(path, old, new, user)
        if side == "user":
            return Decision(path, Action.ATTRIBUTES, rule, look, _with_content(merged, user))
        if side == "new":
            return self._with_new(path, new, merged, rule, look)
        return self._conflict(path, old, new, user, _Merged(merged, rule, look))

    def _side(self, path: bytes, old: Node | None, new: Node, user: Node) -> str:
        """Whose content it is, `user` or `new`; `both` where both changed it."""
        if path in self._units.base or _content(user) == _content(new):
            return "new"
        if old is None:
            return "user" if path in self._units.user else "both"
        if _content(user) == _content(old):
            return "new"
        return "user" if path in self._units.user or _content(new) == _content(old) else "both"

    def _with_new(self, path: bytes, new: Node, merged: Node, rule: str, look: str) -> Decision:
        merged = _with_content(merged, new)
        if _alike(merged, new):
            return Decision(path, Action.DROP, rule, look)
        return Decision(path, Action.REPLACE, rule, look, merged)

    def _conflict(
        self, path: bytes, old: Node | None, new: Node, user: Node, merged: "_Merged"
    ) -> Decision:
        rule = merged.rule
        if rule is Rule.CACHE:
            return self._with_new(path, new, merged.node, rule, merged.look)
        kept = _with_content(merged.node, user)
        if rule is Rule.LOG:
            return Decision(path, Action.ATTRIBUTES, rule, merged.look, kept)
        content = self._merged_text(path, old, new, user, rule)
        if content is not None:
            node = replace(kept, size=len(content))
            return Decision(path, Action.REPLACE, rule, merged.look, node, content)
        beside = new if rule is Rule.ETC and _type(new) == Kind.FILE else None
        look = "both sides changed it: yours stays"
        return Decision(path, Action.ATTRIBUTES, rule, look, kept, beside=beside)

    def _merged_text(
        self, path: bytes, old: Node | None, new: Node, user: Node, rule: Rule
    ) -> bytes | None:
        mergers = {
            Rule.STATUS: three_way.merge_status,
            Rule.ACCOUNTS: three_way.merge_accounts,
            Rule.ETC: three_way.merge_text,
        }
        if rule not in mergers or _type(new) != Kind.FILE:
            return None
        if rule is Rule.ETC and (old is None or max(old.size, new.size, user.size) > TEXT_MAX):
            return None
        is_file = old is not None and _type(old) == Kind.FILE
        before = self._contents.of_image(old) if old is not None and is_file else b""
        return mergers[rule](before, self._contents.of_image(new), self._contents.of_user(path))

    def _changed_below(self, path: bytes) -> bool:
        below = escape(path).encode("ascii") + b"/"
        return any(changed.startswith(below) for changed in self._changed)

    def _has_below(self, path: bytes) -> bool:
        return any(inner.startswith(path + b"/") for inner in self._overlay.nodes)

    def _keep_folders(self) -> None:
        """Folders that go have nothing left in them; the others have merged attributes."""
        needed: set[bytes] = set()
        for path, made in self._found.items():
            if made.action is not Action.DROP:
                above = path.rpartition(b"/")[0]
                while above and above not in needed:
                    needed.add(above)
                    above = above.rpartition(b"/")[0]
        for path in needed | {b"/"}:
            there = self._found.get(path)
            if there is not None and there.action is Action.DROP and there.node is not None:
                self._found[path] = replace(there, action=Action.ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class _Merged:
    """Attributes that are merged already."""

    node: Node
    rule: Rule
    look: str


def _attributes(old: Node | None, new: Node, user: Node) -> tuple[Node, str]:
    """The user's node with merged mode, owner and extended attributes; and what conflicts."""
    if old is None:
        return user, ""
    clashes = []
    mode, clash = _pick(old.mode, new.mode, user.mode)
    clashes += ["mode"] if clash else []
    owner, clash = _pick((old.uid, old.gid), (new.uid, new.gid), (user.uid, user.gid))
    clashes += ["owner"] if clash else []
    xattrs, clash = _pick_xattrs(old.xattrs, new.xattrs, user.xattrs)
    clashes += ["extended attributes"] if clash else []
    look = f"both sides changed its {' and '.join(clashes)}: yours stay" if clashes else ""
    # A link that was copied up has the mode of any link.
    mode = user.mode if user.kind == Kind.SYMLINK else mode
    return replace(user, mode=mode, uid=owner[0], gid=owner[1], xattrs=xattrs), look


def _pick(old: T, new: T, user: T) -> tuple[T, bool]:
    """The merged value of one attribute; and whether both sides changed it, so that it is the
    user's."""
    if user in (old, new):
        return new, False
    return user, new != old


def _pick_xattrs(old: Xattrs, new: Xattrs, user: Xattrs) -> tuple[Xattrs, bool]:
    before, base, own = dict(old), dict(new), dict(user)
    found, clashes = {}, False
    for name in {*before, *base, *own}:
        value, clash = _pick(before.get(name), base.get(name), own.get(name))
        clashes = clashes or clash
        if value is not None:
            found[name] = value
    return tuple(sorted(found.items())), clashes


def _with_content(attributes: Node, content: Node) -> Node:
    return replace(
        attributes,
        kind=content.kind,
        size=content.size,
        payload=content.payload,
        mtime_ns=content.mtime_ns,
    )


def _content(node: Node) -> tuple[str, int, bytes]:
    return (node.kind, node.size, node.payload)


def _type(node: Node) -> str:
    return Kind.FILE if node.kind == Kind.INLINE else node.kind


def _alike(one: Node, other: Node) -> bool:
    """Whether two nodes are the same but for their times."""
    return replace(one, mtime_ns=0) == replace(other, mtime_ns=0)
