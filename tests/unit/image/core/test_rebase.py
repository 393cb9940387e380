"""Changes of a desktop that move from one version of its image to another."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core.manifest import Kind, Node, encode
from qvdnode.image.core.rebase import Action, Decision, Overlay, Version, rebase, sizes_of

FOLDER = Node(Kind.FOLDER, 0o755)
PARENTS = {b"/": FOLDER, b"/etc": FOLDER, b"/usr": FOLDER, b"/usr/bin": FOLDER}
Nodes = Mapping[bytes, Node]


def file(content: str, mode: int = 0o644, uid: int = 0) -> Node:
    raw = content.encode()
    return Node(Kind.INLINE, mode, uid, size=len(raw), payload=raw)


class Inline:
    """Contents that stand in the nodes."""

    def __init__(self, user: Nodes) -> None:
        self._user = user

    def of_image(self, node: Node) -> bytes:
        return node.payload

    def of_user(self, path: bytes) -> bytes:
        return self._user[path].payload


def decide(
    old: Nodes,
    new: Nodes,
    user: Nodes,
    deleted: tuple[bytes, ...] = (),
    emptied: tuple[bytes, ...] = (),
) -> dict[bytes, Decision]:
    before, after = (Version(encode({**PARENTS, **side})) for side in (old, new))
    found = rebase(before, after, Overlay(user, deleted, emptied), Inline(user))
    assert [made.path for made in found] == sorted(made.path for made in found)
    return {made.path: made for made in found}


def one(old: Node | None, new: Node | None, user: Node, path: bytes = b"/usr/bin/x") -> Decision:
    before, after = ({} if side is None else {path: side} for side in (old, new))
    return decide(before, after, {path: user})[path]


A, B, C = file("a"), file("b"), file("c")


@pytest.mark.parametrize(
    ("old", "new", "user", "action", "look"),
    [
        (None, None, A, Action.KEEP, False),  # a file of the user's own
        (A, A, B, Action.ATTRIBUTES, False),  # changed by the user alone
        (A, B, A, Action.DROP, False),  # touched by the user, changed by the image
        (A, B, B, Action.DROP, False),  # both did the same
        (None, B, B, Action.DROP, False),
        (A, B, C, Action.ATTRIBUTES, True),
        (None, B, C, Action.ATTRIBUTES, True),
        (A, None, A, Action.DROP, False),
        (A, None, B, Action.KEEP, True),
        (A, B, replace(A, mode=0o700), Action.REPLACE, False),  # chmod: new content, own mode
        (A, replace(A, mode=0o600), B, Action.ATTRIBUTES, False),
        (A, replace(A, mode=0o600), replace(A, mode=0o700), Action.REPLACE, True),
        (A, replace(A, uid=1), replace(A, uid=2), Action.REPLACE, True),
    ],
)
def test_a_file_is_merged_by_its_attributes(
    old: Node | None, new: Node | None, user: Node, action: Action, look: bool
) -> None:
    made = one(old, new, user)
    assert (made.action, bool(made.look)) == (action, look)


def test_a_mode_of_the_user_goes_with_the_content_of_the_image() -> None:
    made = one(A, B, replace(A, mode=0o700))
    assert made.node == replace(B, mode=0o700)
    kept = one(A, replace(A, mode=0o4755, gid=9), B)
    assert kept.node == replace(B, mode=0o4755, gid=9)


def test_extended_attributes_are_merged_one_by_one() -> None:
    old = replace(A, xattrs=((b"user.a", b"1"), (b"user.b", b"1"), (b"user.c", b"1")))
    new = replace(B, xattrs=((b"user.a", b"2"), (b"user.c", b"1")))
    user = replace(A, xattrs=((b"user.a", b"1"), (b"user.b", b"1"), (b"user.d", b"4")))
    made = one(old, new, user)
    assert made.node is not None
    assert dict(made.node.xattrs) == {b"user.a": b"2", b"user.d": b"4"}
    clash = one(old, new, replace(A, xattrs=((b"user.a", b"3"),)))
    assert "extended attributes" in clash.look


@pytest.mark.parametrize(
    ("old", "new", "action", "look"),
    [
        (A, A, Action.KEEP, False),
        (A, B, Action.KEEP, True),
        (A, None, Action.DROP, False),
    ],
)
def test_a_deletion_stays_unless_the_image_has_it_too(
    old: Node, new: Node | None, action: Action, look: bool
) -> None:
    path = b"/usr/bin/x"
    made = decide({path: old}, {} if new is None else {path: new}, {}, deleted=(path,))[path]
    assert (made.action, bool(made.look)) == (action, look)


def test_folders_that_were_only_copied_up_go_unless_something_is_in_them() -> None:
    user = {b"/": FOLDER, b"/etc": FOLDER, b"/usr": FOLDER, b"/usr/own": A, b"/usr/bin": FOLDER}
    new = {b"/etc": FOLDER, b"/usr/bin": replace(FOLDER, mode=0o711)}
    made = decide({}, new, user)
    assert made[b"/etc"].action is Action.DROP
    assert made[b"/usr/bin"].action is Action.DROP
    assert made[b"/usr"].action is Action.ATTRIBUTES
    assert made[b"/usr/own"].action is Action.KEEP
    # With something in it, the folder has the image's new mode.
    inside = decide({}, new, {**user, b"/usr/bin/mine": B})
    assert inside[b"/usr/bin"].action is Action.ATTRIBUTES
    assert inside[b"/usr/bin"].node == replace(FOLDER, mode=0o711)
    chmod = decide({}, new, {b"/etc": replace(FOLDER, mode=0o700)})
    assert chmod[b"/etc"].action is Action.ATTRIBUTES


def test_a_replaced_folder_is_reported_if_the_image_changed_files_in_it() -> None:
    old, new = {b"/etc/x": FOLDER, b"/etc/x/y": A}, {b"/etc/x": FOLDER, b"/etc/x/y": B}
    user = {b"/etc": FOLDER, b"/etc/x": FOLDER, b"/etc/x/z": C}
    quiet = decide(old, old, user, emptied=(b"/etc/x",))[b"/etc/x"]
    loud = decide(old, new, user, emptied=(b"/etc/x",))[b"/etc/x"]
    assert (quiet.action, quiet.look) == (Action.ATTRIBUTES, "")
    assert "replaced the folder" in loud.look


def test_the_image_wins_where_the_types_differ_and_the_users_goes_aside() -> None:
    link = Node(Kind.SYMLINK, 0o777, payload=b"other")
    path = b"/usr/bin/x"
    assert one(A, link, B).action is Action.ASIDE
    assert one(A, link, A).action is Action.DROP
    assert one(A, A, link).action is Action.KEEP
    assert one(A, B, link).action is Action.ASIDE
    # A folder goes aside with all in it, without marks of deletions.
    old = {path: FOLDER, path + b"/a": A, path + b"/b": A}
    user = {path: FOLDER, path + b"/own": B}
    made = decide(old, {path: A}, user, deleted=(path + b"/b",))
    assert made[path].action is Action.ASIDE
    assert path + b"/own" not in made
    assert made[path + b"/b"].action is Action.DROP


def test_text_in_etc_is_merged_and_the_images_put_beside_where_it_cannot_be() -> None:
    old, new = file("one\ntwo\nthree\n"), file("one\ntwo\nTHREE\n")
    merged = one(old, new, file("ONE\ntwo\nthree\n"), b"/etc/conf")
    assert (merged.action, merged.content) == (Action.REPLACE, b"ONE\ntwo\nTHREE\n")
    clash = one(old, new, file("one\ntwo\nmine\n"), b"/etc/conf")
    assert (clash.action, clash.beside) == (Action.ATTRIBUTES, new)
    assert clash.look
    both_added = one(None, new, file("mine\n"), b"/etc/conf")
    assert both_added.beside == new


def test_caches_are_the_images_and_logs_the_users() -> None:
    assert one(A, B, C, b"/etc/ld.so.cache").action is Action.DROP
    kept = one(A, B, C, b"/var/log/x")
    assert (kept.action, kept.look) == (Action.ATTRIBUTES, "")


def test_accounts_are_merged() -> None:
    old, new = file("root:0\n"), file("root:0\nsshd:9\n")
    made = one(old, new, file("root:0\nann:7\n"), b"/etc/passwd")
    assert (made.content, made.look) == (b"root:0\nsshd:9\nann:7\n", "")


def dpkg(**versions: str) -> Node:
    return file(
        "".join(
            f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n"
            for name, version in versions.items()
        )
    )


STATUS, LIST = b"/var/lib/dpkg/status", b"/var/lib/dpkg/info/ssl.list"
DPKG = {b"/var": FOLDER, b"/var/lib": FOLDER, b"/var/lib/dpkg": FOLDER,
        b"/var/lib/dpkg/info": FOLDER}  # fmt: skip
TOOL, DATA = b"/usr/bin/ssl", b"/usr/bin/ssl.dat"


def package(version: str, *files: bytes) -> dict[bytes, Node]:
    listed = file("".join(f"{path.decode()}\n" for path in files))
    return {**DPKG, STATUS: dpkg(ssl=version), LIST: listed,
            **{path: file(version) for path in files}}  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "theirs", "whose"), [("2", "3", "base"), ("3", "2", "user"), ("3", "3", "base")]
)
def test_a_package_that_both_upgraded_is_taken_as_a_whole(
    ours: str, theirs: str, whose: str
) -> None:
    old, new = package("1", TOOL, DATA), package(theirs, TOOL, DATA)
    user = {STATUS: dpkg(ssl=ours, htop="9"), LIST: old[LIST], TOOL: file(ours), DATA: file("1")}
    made = decide(old, new, user)
    status = made[STATUS].content
    assert status is not None
    assert b"htop" in status
    if whose == "base":
        assert f"Version: {theirs}".encode() in status
        assert {made[path].action for path in (TOOL, DATA)} == {Action.DROP}
    else:
        assert b"Version: 3" in status
        assert made[TOOL].action is Action.ATTRIBUTES
    assert not made[TOOL].look


def test_files_of_a_package_that_the_user_removed_do_not_come_back() -> None:
    old, new = package("1", TOOL), package("2", TOOL, DATA)
    gone = file("Package: ssl\nStatus: deinstall ok config-files\nVersion: 1\n\n")
    made = decide(old, new, {STATUS: gone}, deleted=(TOOL, LIST))
    assert (made[TOOL].action, made[TOOL].look) == (Action.KEEP, "")
    assert made[DATA].action is Action.HIDE
    assert b"deinstall" in (made[STATUS].content or b"")


def test_the_sizes_of_a_path_are_those_of_both_versions() -> None:
    old, new = (Version(encode({**PARENTS, b"/x": file(text)})) for text in ("a", "bbb"))
    assert sizes_of(old, new)(b"/x") == {1, 3}
    assert sizes_of(old, new)(b"/y") == set()


def test_a_deletion_of_a_file_of_a_package_that_the_image_upgraded_further_goes() -> None:
    old, new = package("1", TOOL, DATA), package("3", TOOL, DATA)
    user = {STATUS: dpkg(ssl="2"), LIST: old[LIST]}
    assert decide(old, new, user, deleted=(DATA,))[DATA].action is Action.DROP


def test_hard_links_are_seen_as_their_files() -> None:
    first, second = b"/usr/bin/a", b"/usr/bin/b"
    link = Node(Kind.HARDLINK, payload=first)
    made = decide({first: A, second: link}, {first: B, second: link}, {first: A, second: link})
    assert {made[path].action for path in (first, second)} == {Action.DROP}


SIDE = st.none() | st.builds(
    file,
    st.sampled_from("abc"), st.sampled_from((0o644, 0o600, 0o755)), st.integers(0, 2),
)  # fmt: skip


def shown(made: Decision | None, new: Node | None, user: Node) -> Node | None:
    """What the desktop sees after the rebase."""
    if made is None or made.action in {Action.DROP, Action.ASIDE}:
        return new
    return user if made.node is None else made.node


@given(
    SIDE, SIDE, st.builds(lambda side: side or A, SIDE), st.sampled_from((b"/usr/bin/x", b"/opt"))
)
def test_what_one_side_changed_is_taken_and_nothing_of_the_user_is_lost_silently(
    old: Node | None, new: Node | None, user: Node, path: bytes
) -> None:
    made = one(old, new, user, path)
    after = shown(made, new, user)
    if old == new:
        assert after == user
    if old == user:
        assert after == new
    if new is not None and after is not None and old is not None:
        for name in ("payload", "mode", "uid"):
            sides = [getattr(node, name) for node in (old, new, user)]
            if sides[0] == sides[2]:
                assert getattr(after, name) == sides[1]
            else:
                assert getattr(after, name) == sides[2]
                assert made.look or sides[1] in (sides[0], sides[2])
