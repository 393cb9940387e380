"""Whether another user controls a path."""

import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from qvdnode.host.trusted_path import PathUse, require, trusted, without_links
from qvdnode.model.errors import HostFailed
from tests.harness.stranger import UID, as_stranger, racing


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder as /tmp is."""
    with tempfile.TemporaryDirectory(prefix="qvdnode-test-", dir="/var/tmp") as made:
        Path(made).chmod(0o1777)
        yield Path(made)


def a_folder(path: Path, owner: int, mode: int) -> Path:
    path.mkdir()
    os.chown(path, owner, owner)
    path.chmod(mode)
    return path


def may_be_written_by(path: Path, user: int) -> None:
    """An ACL that lets one more user write."""
    entries = [(0x01, 7, -1), (0x02, 7, user), (0x04, 5, -1), (0x10, 7, -1), (0x20, 5, -1)]
    packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + packed)


@pytest.mark.parametrize(
    ("owner", "mode", "shared", "own"),
    [
        (0, 0o755, True, True),
        (0, 0o1777, True, False),
        (0, 0o777, False, False),
        (0, 0o775, False, False),
        (UID, 0o755, False, False),
        (UID, 0o1777, False, False),
    ],
)
def test_owner_and_mode_of_a_folder_decide(
    public: Path, owner: int, mode: int, shared: bool, own: bool
) -> None:
    folder = a_folder(public / "folder", owner, mode)
    for place, fine in ((PathUse.SHARED_FOLDER, shared), (PathUse.OWN_FOLDER, own)):
        assert is_trusted(folder, place) == fine
    inner = a_folder(folder / "inner", 0, 0o755)
    assert is_trusted(inner) == shared
    (inner / "file").touch(mode=0o600)
    assert is_trusted(inner / "file", PathUse.FILE) == shared


def is_trusted(path: Path, place: PathUse = PathUse.OWN_FOLDER) -> bool:
    try:
        require(path, place)
    except HostFailed as error:
        return not any(advice in str(error) for advice in ("chmod go-w ", "chown root "))
    return True


@pytest.mark.parametrize(("owner", "mode", "fine"), [(0, 0o644, 1), (UID, 0o644, 0), (0, 0o662, 0)])
def test_owner_and_mode_of_a_file_decide(public: Path, owner: int, mode: int, fine: int) -> None:
    file = public / "file"
    file.touch()
    os.chown(file, owner, owner)
    file.chmod(mode)
    assert is_trusted(file, PathUse.FILE) == fine


def test_an_acl_that_lets_somebody_write_counts(public: Path) -> None:
    folder = a_folder(public / "folder", 0, 0o755)
    may_be_written_by(folder, UID)
    as_stranger((folder / "planted").touch)
    assert not is_trusted(folder)


def test_links_are_resolved_and_judged(public: Path) -> None:
    a_folder(public / "real", 0, 0o755)
    (public / "ours").symlink_to("real")
    require(public / "ours", PathUse.OWN_FOLDER)
    assert without_links(public / "ours" / "not" / "there") == public / "real/not/there"
    as_stranger(lambda: (public / "theirs").symlink_to("/etc"))
    for path in (public / "theirs", public / "theirs" / "ssl"):
        with pytest.raises(HostFailed, match="theirs is a link that belongs to the user nobody"):
            require(path, PathUse.OWN_FOLDER)
        with pytest.raises(HostFailed, match="theirs is a link"):
            without_links(path)


def test_a_link_of_ours_does_not_hide_whose_folder_it_leads_to(public: Path) -> None:
    theirs = a_folder(public / "theirs", UID, 0o755)
    a_folder(theirs / "state", 0, 0o755)
    (public / "ours").symlink_to(theirs / "state")
    with pytest.raises(HostFailed, match=f"{theirs} belongs to the user nobody"):
        require(public / "ours", PathUse.OWN_FOLDER)
    (public / "up").symlink_to("theirs/state/..")
    assert not is_trusted(public / "up")


def test_links_in_a_circle_are_told(public: Path) -> None:
    (public / "a").symlink_to("b")
    (public / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        require(public / "a", PathUse.FILE)


def test_what_is_missing_is_made_for_us_alone(public: Path) -> None:
    before = os.umask(0)
    try:
        require(public / "one" / "two", PathUse.OWN_FOLDER, make_mode=0o700)
    finally:
        os.umask(before)
    assert (public / "one").stat().st_mode & 0o777 == 0o755
    assert (public / "one" / "two").stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileNotFoundError):
        require(public / "three", PathUse.OWN_FOLDER)


def test_a_fifo_is_no_file_and_makes_nobody_wait(public: Path) -> None:
    os.mkfifo(public / "fifo")
    with pytest.raises(HostFailed, match="not a regular file"):
        require(public / "fifo", PathUse.FILE)


def test_a_race_while_the_folder_is_made_is_noticed(public: Path) -> None:
    """What is held open is ours, or it is refused: never something of the other user's."""
    target = public / "state"

    def grab() -> None:
        with suppress(OSError):
            target.mkdir(mode=0o777)
        with suppress(OSError):
            target.rmdir()
        with suppress(OSError):
            target.symlink_to("/etc")
        target.unlink()

    refused = 0
    with racing(grab):
        for _ in range(300):
            try:
                with trusted(target, PathUse.OWN_FOLDER, make_mode=0o700) as folder:
                    facts = os.fstat(folder)
                    assert (facts.st_uid, facts.st_mode & 0o777) == (0, 0o700)
                target.rmdir()
            except (HostFailed, OSError):
                refused += 1
    assert refused, "nobody raced"
