"""What differs between two trees, and between their packages."""

from dataclasses import replace

from qvdnode.image.core import image_diff
from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.image_diff import Change, PackageChange
from qvdnode.image.core.manifest import HEADER, ROOT, Kind, Node

FOLDER = Node(Kind.FOLDER, 0o755)
FILE = Node(Kind.FILE, 0o644, size=100, payload=b"00" * 32)
OLD = {
    ROOT: FOLDER,
    b"/content": FILE,
    b"/gone": FILE,
    b"/link": Node(Kind.SYMLINK, 0o777, payload=b"a"),
    b"/linked": FILE,
    b"/same": FILE,
    b"/small": FILE,
    b"/touched": FILE,
    b"/type": FILE,
}
NEW = {
    ROOT: FOLDER,
    b"/content": replace(FILE, size=150, payload=b"01" * 32),
    b"/link": Node(Kind.SYMLINK, 0o777, payload=b"b"),
    b"/linked": Node(Kind.HARDLINK, payload=b"/content"),
    b"/new": replace(FILE, size=70),
    b"/same": FILE,
    b"/small": Node(Kind.INLINE, 0o644, size=2, payload=b"hi"),
    b"/touched": replace(FILE, mode=0o600, uid=5, mtime_ns=7, xattrs=((b"user.a", b""),)),
    b"/type": FOLDER,
}
STATUS = b"""Package: bash
Status: install ok installed
Version: 5.2-1
Architecture: amd64

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9
Description: the library
 Package: not a field

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.36-9

Package: unversioned
Status: install ok installed

Package: old
Status: deinstall ok config-files
Version: 1
"""


def test_each_change_tells_what_changed() -> None:
    found = image_diff.compare(manifests.encode(OLD), manifests.encode(NEW))
    assert [(item.path, item.change, item.aspects) for item in found] == [
        (b"/content", Change.MODIFIED, ("content",)),
        (b"/gone", Change.DELETED, ()),
        (b"/link", Change.MODIFIED, ("target",)),
        (b"/linked", Change.MODIFIED, ("link",)),
        (b"/new", Change.ADDED, ()),
        (b"/small", Change.MODIFIED, ("content",)),
        (b"/touched", Change.MODIFIED, ("mode", "owner", "mtime", "xattrs")),
        (b"/type", Change.TYPE, ()),
    ]
    counts = image_diff.summary(found)
    assert counts == {"added": 1, "modified": 6, "deleted": 1, "grown_bytes": -278}


def test_equal_trees_have_no_difference() -> None:
    assert image_diff.compare(manifests.encode(OLD), manifests.encode(OLD)) == []


def test_a_first_commit_adds_everything() -> None:
    found = image_diff.compare(HEADER, manifests.encode(OLD))
    assert {item.change for item in found} == {Change.ADDED}
    assert len(found) == len(OLD)


def test_installed_packages_are_found() -> None:
    assert image_diff.packages(STATUS) == {
        "bash": "5.2-1", "libc6": "2.36-9", "libc6:i386": "2.36-9",
    }  # fmt: skip
    assert image_diff.packages(b"\xff\xfe") == {}


def test_packages_are_compared_by_version() -> None:
    assert image_diff.compare_packages({"a": "1", "b": "1", "c": "1"}, {"b": "2", "c": "1"}) == [
        PackageChange("a", "1", None),
        PackageChange("b", "1", "2"),
    ]
