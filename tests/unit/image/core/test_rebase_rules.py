"""Which rule a path goes by, and whose files packages are."""

from collections.abc import Mapping

import pytest

from qvdnode.image.core.image_diff import DPKG_STATUS
from qvdnode.image.core.manifest import Kind, Node
from qvdnode.image.core.rebase_rules import INFO, Rule, packages_of_both, rule_of

Nodes = Mapping[bytes, Node]


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (DPKG_STATUS, Rule.STATUS),
        (b"/etc/passwd", Rule.ACCOUNTS),
        (b"/etc/passwd-", Rule.CACHE),
        (b"/etc/ld.so.cache", Rule.CACHE),
        (b"/var/cache/apt/x", Rule.CACHE),
        (b"/var/log/dpkg.log", Rule.LOG),
        (b"/etc/bash.bashrc", Rule.ETC),
        (b"/usr/bin/perl", Rule.OTHER),
    ],
)
def test_a_path_has_one_rule(path: bytes, rule: Rule) -> None:
    assert rule_of(path) is rule


def file(text: str) -> Node:
    raw = text.encode()
    return Node(Kind.INLINE, 0o644, size=len(raw), payload=raw)


def status(**versions: str) -> Node:
    return file(
        "".join(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
            f"Version: {version}\n\n"
            for name, version in versions.items()
        )
    )


class Inline:
    """Contents that stand in the nodes."""

    def __init__(self, user: Nodes) -> None:
        self._user = user

    def of_image(self, node: Node) -> bytes:
        return node.payload

    def of_user(self, path: bytes) -> bytes:
        return self._user[path].payload


def units(old: Nodes, new: Nodes, user: Nodes) -> tuple[set[bytes], set[bytes], set[bytes]]:
    found = packages_of_both(old.get, new.get, user, Inline(user))
    return found.base, found.user, found.hidden


LIST, SUMS = INFO + b"ssl:amd64.list", INFO + b"ssl:amd64.md5sums"


def side(version: str, *paths: str) -> dict[bytes, Node]:
    return {
        DPKG_STATUS: status(ssl=version),
        LIST: file("/.\n" + "".join(f"{path}\n" for path in paths)),
        SUMS: file(version),
    }


def test_a_package_that_one_side_changed_is_no_unit() -> None:
    old, new = side("1", "/usr/bin/x"), side("2", "/usr/bin/x")
    assert units(old, new, {DPKG_STATUS: status(ssl="1", vim="3")}) == (set(), set(), set())
    assert units(old, new, {DPKG_STATUS: status(ssl="2")}) == (set(), set(), set())
    assert units(old, old, {DPKG_STATUS: status(ssl="3")}) == (set(), set(), set())
    assert units(old, new, {}) == (set(), set(), set())
    assert units({}, new, {DPKG_STATUS: status(ssl="1")}) == (set(), set(), set())


def test_the_files_of_a_package_that_both_changed_are_those_of_the_higher_version() -> None:
    old, new = side("1", "/usr/bin/x"), side("2", "/lib/x", "/etc/x.conf")
    mine = {DPKG_STATUS: status(ssl="3"), LIST: file("/usr/bin/x\n/usr/bin/y\n")}
    whole = {b"/lib/x", b"/usr/lib/x", LIST, SUMS, b"/usr/bin/x", b"/usr/bin/y"}
    assert units(old, new, mine) == (set(), whole, set())
    lower = {**mine, DPKG_STATUS: status(ssl="1.5")}
    assert units(old, new, lower) == (whole, set(), set())


def test_new_files_of_a_package_that_the_user_removed_are_hidden() -> None:
    old, new = side("1", "/usr/bin/x"), side("2", "/usr/bin/x", "/usr/bin/new")
    base, user, hidden = units(old, new, {DPKG_STATUS: status(vim="1")})
    assert (base, b"/usr/bin/x" in user) == (set(), True)
    assert b"/usr/bin/new" in hidden
    assert b"/usr/bin/x" not in hidden
    # One whose list is not a file has no files that are known.
    odd = {**new, LIST: Node(Kind.SYMLINK, 0o777, payload=b"x")}
    assert b"/usr/bin/new" not in units(old, odd, {DPKG_STATUS: status(vim="1")})[2]
