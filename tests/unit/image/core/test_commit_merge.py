"""Two trees that come from one, merged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core.commit_merge import Merged, merge_base, merge_trees
from qvdnode.image.core.manifest import Kind, Node, decode, encode

FOLDER = Node(Kind.FOLDER, 0o755)
PARENTS = {b"/": FOLDER, b"/etc": FOLDER, b"/opt": FOLDER}
Nodes = dict[bytes, Node]


def file(content: str, mode: int = 0o644) -> Node:
    raw = content.encode()
    return Node(Kind.INLINE, mode, size=len(raw), payload=raw)


def link(target: bytes) -> Node:
    return Node(Kind.HARDLINK, payload=target)


A, B, C = file("a"), file("b"), file("c")


def merged(base: Nodes, ours: Nodes, theirs: Nodes) -> Merged:
    one, two, three = ({**PARENTS, **side} for side in (base, ours, theirs))
    found = merge_trees(one, two, three, lambda node: node.payload)
    assert decode(encode(found.tree))
    return found


def own(found: Merged) -> Nodes:
    """What there is beside the folders that are always there."""
    return {path: node for path, node in found.tree.items() if path not in PARENTS}


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        (A, B, A, B),
        (A, A, B, B),
        (A, B, B, B),
        (A, None, A, None),
        (A, A, None, None),
        (None, A, None, A),
        (None, None, A, A),
        (A, file("a", 0o700), B, file("b", 0o700)),
        (A, file("a", 0o700), A, file("a", 0o700)),
        (A, B, file("a", 0o700), file("b", 0o700)),
    ],
)
def test_what_one_side_changed_is_taken(
    base: Node | None, ours: Node | None, theirs: Node | None, result: Node | None
) -> None:
    sides = [{} if node is None else {b"/opt/x": node} for node in (base, ours, theirs)]
    found = merged(*sides)
    assert found.contested == ()
    assert own(found).get(b"/opt/x") == result


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "why", "kept"),
    [
        (A, B, C, "both sides changed it", B),
        (None, B, C, "both sides changed it", B),
        (A, None, B, "one side deleted it, the other changed it", None),
        (A, B, None, "one side changed it, the other deleted it", B),
        (
            A, file("a", 0o700), file("a", 0o600), "both sides changed its mode",
            file("a", 0o700),
        ),
    ],
)  # fmt: skip
def test_what_both_changed_is_contested_and_ours(
    base: Node | None, ours: Node | None, theirs: Node, why: str, kept: Node | None
) -> None:
    sides = [{} if node is None else {b"/opt/x": node} for node in (base, ours, theirs)]
    found = merged(*sides)
    assert [(one.path, one.why, one.settles) for one in found.contested] == [(b"/opt/x", why, True)]
    assert own(found).get(b"/opt/x") == kept


def test_other_types_of_file_are_not_settled() -> None:
    found = merged({b"/opt/x": A}, {b"/opt/x": Node(Kind.FIFO)}, {b"/opt/x": FOLDER})
    (one,) = found.contested
    assert (one.why, one.settles) == ("it is of another type on each side", False)


def test_text_in_etc_is_merged_by_lines() -> None:
    found = merged(
        {b"/etc/x": file("1\n2\n3\n")},
        {b"/etc/x": file("0\n1\n2\n3\n")},
        {b"/etc/x": file("1\n2\n3\n4\n")},
    )
    assert found.written == {b"/etc/x": b"0\n1\n2\n3\n4\n"}
    assert found.contested == ()
    assert found.tree[b"/etc/x"].size == 10


def test_a_folder_that_is_gone_with_what_was_in_it() -> None:
    inside = {b"/opt/app": FOLDER, b"/opt/app/x": A}
    assert own(merged(inside, {}, inside)) == {}
    assert own(merged(inside, inside, {})) == {}
    replaced = {b"/opt/app": B}
    assert own(merged(inside, replaced, inside)) == replaced


def test_a_folder_comes_back_for_what_one_side_has_put_into_it() -> None:
    base = {b"/opt/app": FOLDER, b"/opt/app/x": A}
    found = merged(base, {**base, b"/opt/app/new": B}, {})
    assert own(found) == {b"/opt/app": FOLDER, b"/opt/app/new": B}
    changed = merged(base, {}, {**base, b"/opt/app/new": B})
    assert changed.contested


def test_a_file_where_the_other_side_has_a_folder_in_use() -> None:
    base = {b"/opt/app": FOLDER, b"/opt/app/x": A}
    found = merged(base, {**base, b"/opt/app/new": B}, {b"/opt/app": C})
    assert any(not one.settles for one in found.contested)


def test_links_stay_links_while_they_are_the_same() -> None:
    base = {b"/opt/a": A, b"/opt/b": link(b"/opt/a")}
    assert own(merged(base, base, {**base, b"/opt/c": B})) == {**base, b"/opt/c": B}
    changed = {b"/opt/a": B, b"/opt/b": link(b"/opt/a")}
    assert own(merged(base, changed, base)) == changed
    apart = {b"/opt/a": A, b"/opt/b": B}
    assert own(merged(base, apart, base)) == apart
    chain = {b"/opt/0": A, b"/opt/a": link(b"/opt/0"), b"/opt/b": link(b"/opt/0")}
    ours = {b"/opt/0": A, b"/opt/a": link(b"/opt/0")}
    theirs = {b"/opt/a": A, b"/opt/b": link(b"/opt/a")}
    assert own(merged({b"/opt/a": A}, ours, theirs)) == chain


def test_a_package_that_we_removed_takes_its_new_files_along() -> None:
    def dpkg(version: str, files: str) -> Nodes:
        status = f"Package: x\nStatus: install ok installed\nVersion: {version}\n"
        listed = file(files)
        return {
            b"/var": FOLDER, b"/var/lib": FOLDER, b"/var/lib/dpkg": FOLDER,
            b"/var/lib/dpkg/info": FOLDER, b"/var/lib/dpkg/status": file(status),
            b"/var/lib/dpkg/info/x.list": listed,
            **{path.encode(): A for path in files.split()},
        }  # fmt: skip

    base, theirs = dpkg("1", "/opt/one\n"), dpkg("2", "/opt/one\n/opt/two\n")
    ours = {path: node for path, node in base.items() if path.startswith(b"/var")}
    ours[b"/var/lib/dpkg/status"] = file("Package: y\n")
    del ours[b"/var/lib/dpkg/info/x.list"]
    found = merged(base, ours, theirs)
    assert [path for path in own(found) if path.startswith(b"/opt")] == []


def test_the_nearest_common_commit() -> None:
    history = {
        "first": (), "base": ("first",), "ours": ("base",), "theirs": ("base", "side"),
        "side": ("first",), "other": (),
    }  # fmt: skip
    assert merge_base("ours", "theirs", history.__getitem__) == "base"
    assert merge_base("ours", "base", history.__getitem__) == "base"
    assert merge_base("ours", "side", history.__getitem__) == "first"
    assert merge_base("ours", "other", history.__getitem__) is None


NODES = st.sampled_from([A, B, file("a", 0o700), FOLDER, Node(Kind.SYMLINK, 0o777, payload=b"x")])
TREES = st.dictionaries(st.sampled_from([b"/opt/a", b"/opt/b", b"/etc/c"]), NODES)


@given(TREES, TREES)
def test_a_side_without_changes_gives_way(base: Nodes, changed: Nodes) -> None:
    for found in (merged(base, base, changed), merged(base, changed, base)):
        assert found.contested == ()
        assert own(found) == changed


@given(TREES, TREES, TREES)
def test_any_three_trees_make_a_sound_one(base: Nodes, ours: Nodes, theirs: Nodes) -> None:
    merged(base, ours, theirs)
