"""What differs between two trees, and between the packages in them; pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qvdnode.image.core.manifest import Kind, Node, lines, parse_line

DPKG_STATUS: Final = b"/var/lib/dpkg/status"
_INSTALLED: Final = re.compile(r"^Status: .* installed$", re.MULTILINE)
_FIELD: Final = re.compile(r"^(Package|Version|Architecture): (.+)$", re.MULTILINE)


class Change(StrEnum):
    """What happened to a path, by the letters that git uses."""

    ADDED = "A"
    MODIFIED = "M"
    DELETED = "D"
    TYPE = "T"


@dataclass(frozen=True, slots=True)
class PathChange:
    """A path that is not the same in both trees."""

    path: bytes
    change: Change
    aspects: tuple[str, ...]
    """Differences of a modified path: content, mode, owner, mtime, xattrs, target, device, link."""
    old: Node | None
    new: Node | None

    @property
    def grown_bytes(self) -> int:
        """By how many bytes the content grew."""
        return (self.new.size if self.new else 0) - (self.old.size if self.old else 0)


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package that is not the same in both trees; None where it is not installed."""

    package: str
    old: str | None
    new: str | None


def compare(old: bytes, new: bytes) -> list[PathChange]:
    """The changed paths between two manifests, in the order of the paths.

    Only lines that differ are parsed, so it takes the time of reading both.
    """
    before, after = set(lines(old)), set(lines(new))
    gone = dict(parse_line(line) for line in before - after)
    come = dict(parse_line(line) for line in after - before)
    return [_change(path, gone.get(path), come.get(path)) for path in sorted(gone | come)]


def packages(status: bytes) -> dict[str, str]:
    """Installed packages with their versions, by a dpkg status file; `name:arch` beside amd64."""
    found: dict[str, str] = {}
    for paragraph in status.decode("utf-8", errors="replace").split("\n\n"):
        if _INSTALLED.search(paragraph) is None:
            continue
        fields = dict(_FIELD.findall(paragraph))
        if "Package" in fields and "Version" in fields:
            name = fields["Package"]
            if name in found:
                name = f"{name}:{fields.get('Architecture', '')}"
            found[name] = fields["Version"]
    return found


def compare_packages(old: dict[str, str], new: dict[str, str]) -> list[PackageChange]:
    """The packages that were added, removed or have another version, by name."""
    return [
        PackageChange(name, old.get(name), new.get(name))
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]


def summary(changes: Iterable[PathChange]) -> dict[str, int]:
    """Counts of a diff: paths by kind of change, and bytes more or less."""
    counts = {"added": 0, "modified": 0, "deleted": 0, "grown_bytes": 0}
    for change in changes:
        match change.change:
            case Change.ADDED:
                counts["added"] += 1
            case Change.DELETED:
                counts["deleted"] += 1
            case _:
                counts["modified"] += 1
        counts["grown_bytes"] += change.grown_bytes
    return counts


def _change(path: bytes, old: Node | None, new: Node | None) -> PathChange:
    if old is None:
        return PathChange(path, Change.ADDED, (), old, new)
    if new is None:
        return PathChange(path, Change.DELETED, (), old, new)
    if _type(old) != _type(new):
        return PathChange(path, Change.TYPE, (), old, new)
    return PathChange(path, Change.MODIFIED, tuple(_aspects(old, new)), old, new)


def _type(node: Node) -> str:
    return Kind.FILE if node.kind in {Kind.INLINE, Kind.HARDLINK} else node.kind


def _aspects(old: Node, new: Node) -> Iterator[str]:
    if Kind.HARDLINK in {old.kind, new.kind}:
        yield "link"
        return
    if (old.kind, old.size, old.payload) != (new.kind, new.size, new.payload):
        yield {
            Kind.SYMLINK: "target", Kind.CHARACTER: "device", Kind.BLOCK: "device",
        }.get(new.kind, "content")  # fmt: skip
    if old.mode != new.mode:
        yield "mode"
    if (old.uid, old.gid) != (new.uid, new.gid):
        yield "owner"
    if old.mtime_ns != new.mtime_ns:
        yield "mtime"
    if old.xattrs != new.xattrs:
        yield "xattrs"
