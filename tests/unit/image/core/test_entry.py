import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core.entry import Entry, EntryKind, Tally, clean_path, is_windows, kept_attribute
from qvdnode.model.errors import BadImage

FILE = Entry("etc/passwd", EntryKind.FILE, 0o644, 0, 0, 0.0, 10)


def tally(max_entries: int = 100, max_bytes: int = 1_000) -> Tally:
    return Tally(max_entries=max_entries, max_bytes=max_bytes)


@pytest.mark.parametrize(
    ("name", "parts"),
    [("./etc/passwd", ("etc", "passwd")), (".", ()), ("a//b/", ("a", "b")), ("...", ("...",))],
)
def test_names_are_taken_apart(name: str, parts: tuple[str, ...]) -> None:
    assert clean_path(name) == parts


@pytest.mark.parametrize(
    "name", ["../etc/passwd", "a/../../b", "a/..", "/etc/passwd", "x" * 256, "a/" * 3000, "a\0b"]
)
def test_names_that_could_lead_outside_are_refused(name: str) -> None:
    with pytest.raises(BadImage):
        clean_path(name)


@given(st.text(alphabet="./a\0", max_size=30))
def test_a_clean_path_never_leads_up(name: str) -> None:
    try:
        parts = clean_path(name)
    except BadImage:
        return
    assert not {"", ".", ".."} & set(parts)
    assert not any("/" in part for part in parts)


def test_folders_without_an_entry_of_their_own_count() -> None:
    counting = tally(max_entries=7)
    folder = replace(FILE, kind=EntryKind.FOLDER)
    for entry in (
        replace(FILE, name="a/b/c/file", size=10),  # makes a, a/b and a/b/c
        replace(FILE, name="a/b/c/other", size=0),
        replace(folder, name="a/b"),
        replace(folder, name="a/b/c"),
    ):
        counting.take(entry)
    assert counting.entries == 7
    assert counting.space_bytes == 7 * 4096 + 10
    with pytest.raises(BadImage, match="more than 7 files"):
        counting.take(replace(folder, name="d"))


def test_a_deep_path_costs_what_it_makes() -> None:
    with pytest.raises(BadImage, match="more than 100 files"):
        tally().take(replace(FILE, name="d/" * 200 + "f"))


def test_a_windows_image_is_told_by_its_folders() -> None:
    assert is_windows(("Windows", "System32", "ntdll.dll"))
    assert is_windows(("c", "WINDOWS", "system32"))
    assert not is_windows(("usr", "share", "windows"))
    with pytest.raises(BadImage, match="only Linux images"):
        clean_path("Windows/System32/kernel32.dll")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (replace(FILE, kind=EntryKind.DEVICE), "device node"),
        (replace(FILE, kind=EntryKind.OTHER), "unknown kind"),
        (replace(FILE, kind=EntryKind.SYMLINK), "no usable target"),
        (replace(FILE, kind=EntryKind.SYMLINK, target="x" * 5000), "no usable target"),
        (replace(FILE, uid=100_000), "100000"),
        (replace(FILE, gid=-1), "ids below"),
        (replace(FILE, size=-1), "negative"),
        (replace(FILE, modified=math.inf), "an invalid time of change"),
        (replace(FILE, modified=math.nan), "an invalid time of change"),
        (replace(FILE, modified=-1e300), "an invalid time of change"),
        (replace(FILE, kind=EntryKind.SYMLINK, target="a\0b"), "zero byte"),
        (replace(FILE, attributes={"user.a\0b": b""}), "zero byte"),
        (replace(FILE, size=2_000), "import_max_mib"),
    ],
)
def test_entries_that_no_guest_could_have_are_refused(broken: Entry, told: str) -> None:
    with pytest.raises(BadImage, match=told):
        tally().take(broken)


def test_too_many_entries_are_refused() -> None:
    counting = tally(max_entries=2)
    counting.take(replace(FILE, name="a"))
    counting.take(replace(FILE, name="b"))
    with pytest.raises(BadImage, match="more than 2"):
        counting.take(replace(FILE, name="c"))


def test_sizes_add_up_but_only_those_of_files() -> None:
    counting = tally()
    counting.take(FILE)
    counting.take(replace(FILE, name="link", kind=EntryKind.HARDLINK, target="etc/passwd", size=10))
    assert counting.size_bytes == 10


@pytest.mark.parametrize("name", ["dev/sda", "./dev/pts/0", "dev//console"])
@pytest.mark.parametrize("kind", EntryKind)
def test_what_lies_in_dev_is_counted_and_left_out(name: str, kind: EntryKind) -> None:
    counting = tally()
    assert counting.take(replace(FILE, name=name, kind=kind)) is None
    assert counting.entries == 1


@pytest.mark.parametrize("name", ["dev", "./dev/", "device/x", "usr/dev/x"])
def test_other_folders_of_such_a_name_are_taken(name: str) -> None:
    assert tally().take(replace(FILE, name=name, kind=EntryKind.FOLDER)) is not None


def test_nothing_leads_out_of_the_image_by_way_of_dev() -> None:
    with pytest.raises(BadImage, match="leads out"):
        tally().take(replace(FILE, name="dev/../../etc/passwd"))


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("security.capability", True),
        ("user.note", True),
        ("system.posix_acl_access", True),
        ("trusted.overlay.redirect", False),
        ("user.overlay.opaque", False),
        ("security.selinux", False),
    ],
)
def test_attributes_that_steer_an_overlay_are_dropped(name: str, kept: bool) -> None:
    assert kept_attribute(name) is kept
