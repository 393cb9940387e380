"""A desktop's changes laid over the image it started from."""

from dataclasses import replace

from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.manifest import ROOT, Kind, Node
from qvdnode.image.core.tree_merge import Changes, is_own, merge

FOLDER = Node(Kind.FOLDER, 0o755)
OLD = Node(Kind.INLINE, 0o644, size=3, payload=b"old")
NEW = Node(Kind.INLINE, 0o600, size=3, payload=b"new")


def link(target: bytes) -> Node:
    return Node(Kind.HARDLINK, payload=target)


BASE = {
    ROOT: FOLDER,
    b"/a": OLD,
    b"/b": link(b"/a"),
    b"/c": link(b"/a"),
    b"/etc": FOLDER,
    b"/etc/hostname": OLD,
    b"/etc/kept": OLD,
    b"/home": FOLDER,
    b"/home/skel": OLD,
    b"/opt": FOLDER,
    b"/opt/deep": FOLDER,
    b"/opt/deep/file": OLD,
    b"/var": FOLDER,
    b"/var/log": FOLDER,
    b"/var/log/install": OLD,
}


def test_no_changes_give_the_image() -> None:
    assert merge(BASE, Changes({})) == BASE


def test_changed_new_and_deleted_paths_count() -> None:
    nodes = {ROOT: FOLDER, b"/etc": FOLDER, b"/etc/kept": NEW, b"/etc/new": NEW}
    merged = merge(BASE, Changes(nodes, deleted=[b"/opt"]))
    assert (merged[b"/etc/kept"], merged[b"/etc/new"]) == (NEW, NEW)
    assert not [path for path in merged if path.startswith(b"/opt")]
    assert manifests.decode(manifests.encode(merged)) == merged


def test_a_folder_that_was_made_anew_has_nothing_of_the_old_one() -> None:
    nodes = {b"/opt": FOLDER, b"/opt/new": NEW}
    merged = merge(BASE, Changes(nodes, emptied=[b"/opt"]))
    assert sorted(path for path in merged if path.startswith(b"/opt")) == [b"/opt", b"/opt/new"]


def test_a_file_in_place_of_a_folder_takes_what_was_in_it() -> None:
    merged = merge(BASE, Changes({b"/opt": NEW}))
    assert merged[b"/opt"] == NEW
    assert b"/opt/deep/file" not in merged


def test_what_is_the_desktops_own_is_as_in_the_image() -> None:
    nodes = {
        b"/etc/hostname": NEW,
        b"/etc/machine-id": NEW,
        b"/etc/ssh": FOLDER,
        b"/etc/ssh/ssh_host_key": NEW,
        b"/etc/ssh/config": NEW,
        b"/home/ana": FOLDER,
        b"/var/log/today": NEW,
    }
    merged = merge(BASE, Changes(nodes, deleted=[b"/home/skel", b"/var/log/install"]))
    assert merged == {**BASE, b"/etc/ssh": FOLDER, b"/etc/ssh/config": NEW}
    assert not is_own(b"/home")
    assert is_own(b"/home/x")


def test_what_is_the_images_goes_with_its_folder() -> None:
    merged = merge(BASE, Changes({}, deleted=[b"/var"]))
    assert not [path for path in merged if path.startswith(b"/var")]


def test_names_of_one_file_stay_together_and_others_part() -> None:
    merged = merge(BASE, Changes({b"/a": NEW}))
    assert (merged[b"/a"], merged[b"/b"], merged[b"/c"]) == (NEW, OLD, link(b"/b"))
    nodes = {b"/n1": NEW, b"/n2": link(b"/n1")}
    merged = merge(BASE, Changes(nodes, deleted=[b"/a", b"/b"]))
    assert (merged[b"/c"], merged[b"/n2"]) == (OLD, link(b"/n1"))
    changed = replace(NEW, mode=0o4755)
    merged = merge(BASE, Changes({b"/tmp": FOLDER, b"/tmp/x": changed, b"/usr": link(b"/tmp/x")}))
    assert merged[b"/usr"] == changed
