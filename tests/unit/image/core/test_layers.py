"""Layers of OCI images on top of each other."""

from collections.abc import Iterable

import pytest

from qvdnode.image.core.entry import Entry, EntryKind
from qvdnode.image.core.layers import LINKS_MAX, LayerTree
from qvdnode.model.errors import BadImage


def made(name: str, kind: EntryKind = EntryKind.FILE, target: str = "", mode: int = 0o644) -> Entry:
    return Entry(name, kind, mode, 0, 0, 0.0, 1, target)


def folder(name: str, mode: int = 0o755) -> Entry:
    return made(name, EntryKind.FOLDER, mode=mode)


def link(name: str, target: str) -> Entry:
    return made(name, EntryKind.SYMLINK, target)


def hard(name: str, target: str) -> Entry:
    return made(name, EntryKind.HARDLINK, target)


def merged(*layers: Iterable[Entry]) -> LayerTree:
    tree = LayerTree()
    for layer in layers:
        tree.begin()
        for entry in layer:
            tree.take(entry)
    return tree


def paths(tree: LayerTree) -> set[str]:
    """Every path; folders end with a slash."""
    files = (path for _, found in tree.files().values() for path in found)
    return {*(f"{path}/" for path, _ in tree.folders()), *files}


def test_a_layer_adds_and_replaces() -> None:
    tree = merged(
        [folder("./"), folder("etc/"), made("etc/a"), made("etc/b"), made("deep/in/here")],
        [made("./etc/a", mode=0o600), folder("etc", mode=0o700), made("etc/c")],
    )
    assert paths(tree) == {"/", "etc/", "etc/a", "etc/b", "etc/c", "deep/", "deep/in/",
                           "deep/in/here"}  # fmt: skip
    assert dict(tree.folders())["etc"] == folder("etc", mode=0o700)
    assert dict(tree.folders())["deep"] is None
    assert (1, 0) in tree.files()
    assert (0, 2) not in tree.files()


def test_a_file_takes_the_place_of_a_folder_and_the_other_way_round() -> None:
    tree = merged([made("a/b"), made("c")], [made("a"), made("c/d")][:1], [folder("c")])
    assert paths(tree) == {"/", "a", "c/"}


def test_whiteouts_delete_what_is_below_and_nothing_of_their_own_layer() -> None:
    tree = merged(
        [made("etc/a"), made("etc/b"), made("var/x/y"), made("opt/old")],
        [
            made("etc/.wh.a"),
            made("opt/new"),
            made("opt/.wh..wh..opq"),
            made("var/x/z"),
            made("var/.wh.x"),
            made("var/n"),
            made("var/.wh.n"),
            made("none/.wh.x"),
            made("etc/.wh..wh.plnk"),
        ],
    )
    assert paths(tree) == {"/", "etc/", "etc/b", "var/", "var/x/", "var/x/z", "var/n", "opt/",
                           "opt/new"}  # fmt: skip


@pytest.mark.parametrize("name", ["etc/.wh.", "etc/.wh..", "etc/.wh..."])
def test_a_whiteout_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(BadImage, match="without a name"):
        merged([made("etc/a"), made(name)])


def test_hard_links_reach_into_layers_below_and_outlive_their_target() -> None:
    tree = merged(
        [made("usr/bin/perl"), hard("usr/bin/perl5", "usr/bin/perl")],
        [hard("usr/bin/perl6", "/usr/bin/perl"), made("usr/bin/.wh.perl")],
    )
    ((_, found),) = tree.files().values()
    assert sorted(found) == ["usr/bin/perl5", "usr/bin/perl6"]


@pytest.mark.parametrize("target", ["nothing", "etc", "", "etc/no/where", "../x"])
def test_a_hard_link_to_no_file_is_refused(target: str) -> None:
    with pytest.raises(BadImage):
        merged([folder("etc"), hard("a", target)])


def test_a_path_may_lead_through_links_of_the_image_but_never_out() -> None:
    tree = merged(
        [folder("usr/bin"), link("bin", "usr/bin"), link("abs", "/usr/./bin"), link("up", "../..")],
        [made("bin/a"), made("abs/b"), made("up/c"), hard("abs/d", "bin/a")],
    )
    assert paths(tree) >= {"usr/bin/a", "usr/bin/b", "c", "usr/bin/d", "bin", "abs", "up"}


def test_a_link_is_followed_below_its_own_folder() -> None:
    tree = merged([folder("a/b"), folder("a/c"), link("a/l", "../a/c"), made("a/l/x")])
    assert "a/c/x" in paths(tree)


def test_what_leads_through_a_file_or_a_circle_is_refused() -> None:
    with pytest.raises(BadImage, match="is not a folder"):
        merged([made("a"), made("a/b")])
    with pytest.raises(BadImage, match="is not a folder"):
        merged([made("a"), link("l", "a"), made("l/b")])
    with pytest.raises(BadImage, match="too many links"):
        merged([link("a", "b"), link("b", "a"), made("a/c")])
    chain = [link(f"l{number}", f"l{number + 1}") for number in range(LINKS_MAX + 2)]
    with pytest.raises(BadImage, match="too many links"):
        merged([*chain, made("l0/x")])


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a\0b"])
def test_a_name_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(BadImage):
        merged([made(name)])


def test_a_root_that_is_no_folder_is_refused() -> None:
    with pytest.raises(BadImage, match="root of a layer"):
        merged([made("./")])
    assert dict(merged([folder("/", mode=0o711)]).folders())[""] == folder("/", mode=0o711)


def test_what_was_never_there_is_deleted_in_vain() -> None:
    assert "etc/a" in paths(merged([made("etc/a")], [folder("etc"), made("etc/.wh.b")]))
