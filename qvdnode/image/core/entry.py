"""Checks the entries of an image's archive; pure. Each refusal is a BadImage with a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from qvdnode.model.errors import BadImage

DEVICES: Final = "dev"
"""The folder of a root that nothing is taken from."""
IDS_OF_A_GUEST: Final = 65_536
NAME_MAX: Final = 255
PATH_MAX: Final = 4_095
LATEST: Final = 2.0**62
"""Largest time that file systems can store, in seconds since 1970."""
BLOCK_BYTES: Final = 4096
"""What even an empty entry may take of the disk."""
_MIB: Final = 1024 * 1024


class EntryKind(StrEnum):
    """The type of an entry."""

    FOLDER = "folder"
    FILE = "file"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"
    FIFO = "FIFO"
    DEVICE = "device node"
    OTHER = "entry of an unknown kind"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an image as the archive describes it."""

    name: str
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    modified: float
    """Seconds since 1970."""
    size: int
    target: str = ""
    """Where a link points: as written for a symbolic one, a name of the image for a hard one."""
    attributes: Mapping[str, bytes] = field(default_factory=dict)
    """Extended attributes, capabilities among them."""
    modified_ns: int = 0
    """The same time in nanoseconds, as exactly as the archive has it."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device node."""
    block: bool = False
    """Whether that is a block device."""


@dataclass(slots=True)
class Tally:
    """Counts an image while it is read, and refuses one that is too large."""

    max_entries: int
    max_bytes: int
    entries: int = 0
    size_bytes: int = 0
    space_bytes: int = 0
    """What it may take of the disk: many small files are little content and much space."""
    seen: set[str] = field(default_factory=set)
    """Folders that have an entry. As text, which takes a third of what the parts would."""
    implied: set[str] = field(default_factory=set)
    """Folders that are made for what is in them, without an entry of their own so far."""

    def take(self, entry: Entry) -> tuple[str, ...] | None:
        """Count one entry and give its path in parts, () for the root; raises BadImage.

        None for what lies in /dev: a guest gets its devices from the driver.
        """
        path = clean_path(entry.name)
        left_out = len(path) > 1 and path[0] == DEVICES
        if not left_out:
            _check_kind(entry)
        made = 1 if left_out else 1 + self._imply(path)
        content = entry.size if entry.kind is EntryKind.FILE else 0
        self.entries += made
        self.size_bytes += content
        self.space_bytes += made * BLOCK_BYTES + content
        if self.entries > self.max_entries:
            raise BadImage(
                f"more than {self.max_entries} files and folders (image.import_max_entries)"
            )
        if self.size_bytes > self.max_bytes:
            raise BadImage(f"more than {self.max_bytes // _MIB} MiB (image.import_max_mib)")
        if left_out:
            return None
        if entry.kind is EntryKind.FOLDER:
            self.seen.add("/".join(path))
        return path

    def _imply(self, path: tuple[str, ...]) -> int:
        """Note the folders above `path` that are made with it, and return how many."""
        new = 0
        for depth in range(len(path) - 1, 0, -1):
            folder = "/".join(path[:depth])
            if folder in self.seen or folder in self.implied:
                break
            self.implied.add(folder)
            new += 1
        return new


def clean_path(name: str) -> tuple[str, ...]:
    """The parts of a name inside the image; raises BadImage where it could lead outside."""
    if len(name) > PATH_MAX or len(_raw(name)) > PATH_MAX:
        raise BadImage(f"{name[:60]!r}... is too long for a name")
    if name.startswith("/"):
        raise BadImage(f"{name!r} is an absolute path; make the archive from inside the root")
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts:
        raise BadImage(f"{name!r} leads out of the image")
    if any(len(_raw(part)) > NAME_MAX for part in parts):
        raise BadImage(f"{name[:60]!r}... is too long for a name")
    if "\0" in name:
        raise BadImage(f"{name!r} holds a zero byte")
    if is_windows(parts):
        raise BadImage("only Linux images can be imported, and this is a Windows one")
    return parts


def is_windows(parts: tuple[str, ...]) -> bool:
    """Whether a path is one that every Windows system has and no Linux one."""
    folded = tuple(part.lower() for part in parts[:3])
    return "system32" in folded and "windows" in folded


def _check_kind(entry: Entry) -> None:
    if entry.kind is EntryKind.DEVICE:
        raise BadImage(f"{entry.name!r} is a device node; images must not bring their own")
    if entry.kind is EntryKind.OTHER:
        raise BadImage(f"{entry.name!r} is a {entry.kind}")
    if entry.kind is EntryKind.SYMLINK and not 0 < len(_raw(entry.target)) <= PATH_MAX:
        raise BadImage(f"the link {entry.name!r} has no usable target")
    if not (0 <= entry.uid < IDS_OF_A_GUEST and 0 <= entry.gid < IDS_OF_A_GUEST):
        raise BadImage(
            f"{entry.name!r} belongs to {entry.uid}:{entry.gid}; a guest has the ids below "
            f"{IDS_OF_A_GUEST}"
        )
    if entry.size < 0:
        raise BadImage(f"{entry.name!r} has a negative size")
    if not -LATEST < entry.modified < LATEST:
        raise BadImage(f"{entry.name!r} has an invalid time of change")
    if any("\0" in text for text in (entry.target, *entry.attributes)):
        raise BadImage(f"{entry.name!r} has a link or an attribute that holds a zero byte")


def kept_attribute(name: str) -> bool:
    """Whether an extended attribute goes into the image; those of overlays never do."""
    if name.startswith("user."):
        return not name.startswith("user.overlay.")
    return name in {
        "security.capability",
        "system.posix_acl_access",
        "system.posix_acl_default",
    }


def _raw(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogateescape")
