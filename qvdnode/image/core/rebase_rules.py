"""Which rule a path goes by when both the image and the desktop changed it; pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from qvdnode.image.core.image_diff import DPKG_STATUS
from qvdnode.image.core.manifest import Kind, Node
from qvdnode.image.core.three_way import paragraphs, version_in, winner
from qvdnode.image.core.tree_merge import ACCOUNTS

INFO: Final = b"/var/lib/dpkg/info/"
CACHES: Final = (b"/var/cache/", b"/var/lib/apt/lists/", b"/run/", b"/tmp/", b"/var/tmp/")
CACHE_FILES: Final = frozenset(
    {
        b"/etc/ld.so.cache", b"/var/lib/dpkg/status-old", b"/var/lib/dpkg/available-old",
        b"/var/lib/dpkg/diversions-old", b"/var/lib/dpkg/statoverride-old", b"/etc/passwd-",
        b"/etc/group-", b"/etc/shadow-", b"/etc/gshadow-", b"/usr/share/mime/mime.cache",
        b"/usr/share/applications/mimeinfo.cache", b"/usr/share/icons/hicolor/icon-theme.cache",
        b"/usr/lib/locale/locale-archive",
    }
)  # fmt: skip


class Rule(StrEnum):
    """What is done where both sides changed the content of a path."""

    CACHE = "cache"
    """The image's is taken: it is made again when needed."""
    LOG = "log"
    """The user's stays."""
    STATUS = "dpkg"
    """Merged by package."""
    ACCOUNTS = "accounts"
    """Merged by account."""
    PACKAGE = "package"
    """All files of a package are taken of one side."""
    ETC = "etc"
    """Merged by lines; the user's stays where both changed a place, the image's is put beside."""
    OTHER = "other"
    """The user's stays."""


def rule_of(path: bytes) -> Rule:
    """The rule of a path."""
    if path == DPKG_STATUS:
        return Rule.STATUS
    if path in ACCOUNTS:
        return Rule.ACCOUNTS
    if path in CACHE_FILES or path.startswith(CACHES):
        return Rule.CACHE
    if path.startswith(b"/var/log/"):
        return Rule.LOG
    return Rule.ETC if path.startswith(b"/etc/") else Rule.OTHER


class Contents(Protocol):
    """Reads files; raises FarmError."""

    def of_image(self, node: Node) -> bytes:
        """The content of a file of either version."""
        ...

    def of_user(self, path: bytes) -> bytes:
        """The content of a file in the overlay."""
        ...


@dataclass(slots=True)
class Units:
    """Files of packages that are taken of one side as a whole, but for those in /etc."""

    base: set[bytes] = field(default_factory=set)
    """Files of packages that both upgraded, where the image's version is the higher one."""
    user: set[bytes] = field(default_factory=set)
    """Files of those where the user's is higher, and of those that the user removed."""
    hidden: set[bytes] = field(default_factory=set)
    """Files that the image's new version of a package has that the user removed."""


NodeOf = Callable[[bytes], Node | None]


def packages_of_both(
    old: NodeOf, new: NodeOf, user: Mapping[bytes, Node], contents: Contents
) -> Units:
    """The packages that the user changed and the image changed otherwise, by their files."""
    found = Units()
    nodes = (old(DPKG_STATUS), new(DPKG_STATUS))
    if DPKG_STATUS not in user or None in nodes:
        return found
    before, base = (paragraphs(contents.of_image(node)) for node in nodes if node is not None)
    own = paragraphs(contents.of_user(DPKG_STATUS))
    for name in {*before, *base, *own}:
        versions = tuple(version_in(side.get(name)) for side in (before, base, own))
        if versions[0] == versions[2] or versions[1] in (versions[0], versions[2]):
            continue
        files = _Files(old, new, user, contents, name)
        whole = files.of_new() | files.of_user()
        if versions[2] is None:
            found.user |= whole
            found.hidden |= files.of_new() - files.of_old()
        elif winner(before.get(name), base.get(name), own.get(name)) == "user":
            found.user |= whole
        else:
            found.base |= whole
    return found


class _Files:
    """The files of one package on each side."""

    def __init__(
        self,
        old: NodeOf,
        new: NodeOf,
        user: Mapping[bytes, Node],
        contents: Contents,
        package: str,
    ) -> None:
        self._old, self._new, self._user = old, new, user
        self._contents = contents
        plain, _, _ = package.rpartition(":")
        self._names = [name.encode() for name in (package, plain) if name]

    def of_old(self) -> set[bytes]:
        return self._listed(self._old)

    def of_new(self) -> set[bytes]:
        return self._listed(self._new) | self._info(self._new)

    def of_user(self) -> set[bytes]:
        found: set[bytes] = set()
        for place in self._lists():
            if place in self._user:
                found |= set(_paths(self._contents.of_user(place)))
        prefixes = tuple(INFO + name + b"." for name in self._names)
        return found | {path for path in self._user if path.startswith(prefixes)}

    def _listed(self, side: NodeOf) -> set[bytes]:
        for place in self._lists():
            node = side(place)
            if node is not None and node.kind in {Kind.FILE, Kind.INLINE}:
                return set(_paths(self._contents.of_image(node)))
        return set()

    def _info(self, side: NodeOf) -> set[bytes]:
        ends = (b"list", b"md5sums", b"triggers", b"shlibs", b"symbols", b"conffiles")
        scripts = (b"preinst", b"postinst", b"prerm", b"postrm", b"templates", b"config")
        places = {INFO + name + b"." + end for name in self._names for end in (*ends, *scripts)}
        return {place for place in places if side(place) is not None}

    def _lists(self) -> Iterator[bytes]:
        for name in self._names:
            yield INFO + name + b".list"


def _paths(listed: bytes) -> Iterator[bytes]:
    """The paths of a package's list; those in /etc go by their own rule."""
    for path in listed.split(b"\n"):
        if path.startswith(b"/") and path != b"/." and not path.startswith(b"/etc/"):
            # Packages name /lib and the like, which are links to /usr in images.
            yield path
            if path.startswith((b"/bin/", b"/lib", b"/sbin/")):
                yield b"/usr" + path
