import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.host.guest_files import GuestFolder
from qvdnode.model.errors import HostFailed, PartGone
from tests.exhaustion import nothing_to_open_with


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[GuestFolder]:
    with GuestFolder(tmp_path) as folder:
        yield folder


def test_reads_are_bounded(folder: GuestFolder, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"0123456789")
    assert folder.read("log", limit=4) == b"0123"
    assert folder.tail("log", limit=4) == b"6789"


def test_a_growing_file_is_read_on_from_where_one_was(folder: GuestFolder, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first ")
    first = folder.read_from("log", inode=None, offset=0, limit=100)
    assert first is not None
    with log.open("ab") as more:
        more.write(b"second")
    second = folder.read_from("log", inode=first.inode, offset=first.end, limit=100)
    assert second is not None
    assert second.content == b"second"


def test_a_cut_file_is_read_from_its_beginning(folder: GuestFolder, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"new")
    piece = folder.read_from("log", inode=None, offset=50, limit=100)
    assert piece is not None
    assert (piece.content, piece.end) == (b"new", 3)


@pytest.mark.parametrize("kind", ["missing", "symlink", "fifo", "folder"])
def test_only_regular_files_are_read_or_cut(folder: GuestFolder, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    match kind:
        case "symlink":
            (tmp_path / "log").symlink_to(target)
        case "fifo":
            os.mkfifo(tmp_path / "log")
        case "folder":
            (tmp_path / "log").mkdir()
        case _:
            pass
    assert folder.read("log", limit=100) is None
    assert folder.tail("log", limit=100) is None
    assert not folder.rewrite("log", b"")
    assert target.read_bytes() == b"precious"


def test_a_sparse_giant_costs_no_more_than_the_limit(folder: GuestFolder, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as sparse:
        sparse.truncate(1 << 30)
    content = folder.tail("log", limit=1000)
    assert content is not None
    assert len(content) == 1000


def test_a_replacement_follows_no_link(folder: GuestFolder, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "params").symlink_to(target)
    folder.replace("params", b"new", mode=0o600, owner=os.getuid())
    assert (tmp_path / "params").read_bytes() == b"new"
    assert target.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params", "target"]


def test_what_cannot_be_replaced_is_said_and_leaves_nothing(
    folder: GuestFolder, tmp_path: Path
) -> None:
    with pytest.raises(HostFailed):
        folder.replace("x" * 250, b"new", mode=0o600, owner=os.getuid())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("full", [False, True])
def test_a_folder_in_the_place_of_a_file_is_put_aside(
    folder: GuestFolder, tmp_path: Path, full: bool
) -> None:
    (tmp_path / "params").mkdir()
    if full:
        (tmp_path / "params" / "full").touch()
    folder.replace("params", b"new", mode=0o600, owner=os.getuid())
    assert (tmp_path / "params").read_bytes() == b"new"


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(HostFailed):
        GuestFolder(tmp_path / "link")


def test_a_process_that_can_open_nothing_does_not_take_a_file_for_missing(
    folder: GuestFolder, tmp_path: Path
) -> None:
    (tmp_path / "log").write_bytes(b"there")
    with nothing_to_open_with():
        with pytest.raises(HostFailed, match="Too many open files"):
            folder.read("log", limit=4)
        with pytest.raises(HostFailed, match="cannot be opened") as caught:
            GuestFolder(tmp_path)
    assert not isinstance(caught.value, PartGone)
    with pytest.raises(PartGone):
        GuestFolder(tmp_path / "missing")
