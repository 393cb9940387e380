"""Files that root makes in a folder of everybody's, where another user was first."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from qvdnode.runtime import safe_files
from qvdnode.runtime.safe_files import new_file, open_regular, rename_to_new, replace_file
from tests.harness.stranger import UID, as_stranger, dangling_link, fifo, link, own_file, racing

SECRET = b"only root may read this"
CONTENT = b"what root writes"
ROUNDS = 300


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder as /tmp is."""
    with tempfile.TemporaryDirectory(prefix="qvdnode-test-", dir="/var/tmp") as made:
        Path(made).chmod(0o1777)
        yield Path(made)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A file of root's that must stay as it is."""
    file = tmp_path / "victim"
    file.write_bytes(SECRET)
    file.chmod(0o600)
    yield file
    assert (file.read_bytes(), file.stat().st_uid, file.stat().st_mode & 0o777) == (
        SECRET, 0, 0o600,
    )  # fmt: skip


@pytest.fixture(params=["unnamed", "named"])
def kind_of_draft(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """On a file system that has files without a name, and on one that has none."""
    if request.param == "named":
        monkeypatch.setattr(safe_files, "UNNAMED", os.O_RDWR | os.O_CLOEXEC)
    return str(request.param)


def folder(at: Path, victim: Path) -> None:
    at.mkdir(mode=0o777)


def hard_link(at: Path, victim: Path) -> None:
    other = at.with_name("other")
    other.touch(mode=0o666)
    os.link(other, at)


PREPARED = [link, dangling_link, fifo, folder, own_file, hard_link]
Preparing = Callable[[Path, Path], None]


def is_ours(path: Path) -> bool:
    facts = path.lstat()
    return (facts.st_uid, facts.st_mode, facts.st_nlink) == (0, 0o100600, 1)


@pytest.mark.parametrize("prepare", PREPARED)
@pytest.mark.usefixtures("kind_of_draft")
def test_a_new_file_is_refused_where_somebody_was_first(
    public: Path, victim: Path, prepare: Preparing
) -> None:
    target = public / "new"
    as_stranger(lambda: prepare(target, victim))
    before = target.lstat()
    with pytest.raises(FileExistsError), new_file(target) as file:
        file.write(CONTENT)
    assert target.lstat() == before
    assert not victim.with_name("not-there-yet").exists()
    assert {path.name for path in public.iterdir()} <= {"new", "other"}


@pytest.mark.parametrize("prepare", [item for item in PREPARED if item is not folder])
def test_what_is_replaced_is_never_written_into(
    public: Path, victim: Path, prepare: Preparing
) -> None:
    target = public / "file"
    as_stranger(lambda: prepare(target, victim))
    replace_file(target, CONTENT)
    assert is_ours(target)
    assert target.read_bytes() == CONTENT
    assert not victim.with_name("not-there-yet").exists()
    if prepare is hard_link:
        assert (public / "other").read_bytes() == b""


def test_a_folder_is_not_replaced_and_nothing_is_left(public: Path) -> None:
    as_stranger(lambda: folder(public / "file", public))
    with pytest.raises(IsADirectoryError):
        replace_file(public / "file", CONTENT)
    assert [path.name for path in public.iterdir()] == ["file"]


@pytest.mark.usefixtures("kind_of_draft")
def test_a_race_for_the_name_is_lost_or_won_whole(public: Path, victim: Path) -> None:
    target = public / "new"
    turn = iter(range(1_000_000_000))

    def grab() -> None:
        with suppress(OSError):
            target.unlink()
        PREPARED[next(turn) % 3](target, victim)
        for draft in public.glob(".new.*"):
            with suppress(OSError):
                draft.unlink()
                draft.symlink_to(victim)

    won = 0
    with racing(grab):
        for _ in range(ROUNDS):
            try:
                with new_file(target) as file:
                    file.write(CONTENT)
            except FileExistsError:
                continue
            assert is_ours(target)
            assert target.read_bytes() == CONTENT
            target.unlink()
            won += 1
    assert won < ROUNDS, "nobody raced"


def test_a_file_that_was_not_finished_is_not_there(public: Path) -> None:
    with pytest.raises(TypeError), new_file(public / "new") as file:
        file.write(cast(bytes, "no bytes"))
    assert list(public.iterdir()) == []


@pytest.mark.usefixtures("kind_of_draft")
def test_the_mode_is_the_requested_one(public: Path) -> None:
    before = os.umask(0)
    try:
        with new_file(public / "private"):
            pass
        with new_file(public / "open", mode=0o644):
            pass
        replace_file(public / "private", b"")
    finally:
        os.umask(before)
    assert (public / "private").stat().st_mode & 0o777 == 0o600
    assert (public / "open").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("prepare", [fifo, folder])
def test_reading_does_not_wait_for_somebody_else(
    public: Path, victim: Path, prepare: Preparing
) -> None:
    as_stranger(lambda: prepare(public / "file", victim))
    with pytest.raises(OSError, match="Not a regular file"):
        open_regular(public / "file")


def test_a_folder_is_not_renamed_over_what_somebody_made(public: Path, victim: Path) -> None:
    (public / "built").mkdir()
    as_stranger(lambda: folder(public / "image", victim))
    with pytest.raises(FileExistsError):
        rename_to_new(public / "built", public / "image")
    assert (public / "image").stat().st_uid == UID
    rename_to_new(public / "built", public / "other-image")
    assert (public / "other-image").is_dir()
