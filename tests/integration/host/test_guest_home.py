"""Files of a home, touched from the host: hostile names, links and kinds of files, and limits."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from qvdnode.host import guest_home, linux_calls
from qvdnode.host.guest_home import ENTRIES_MAX, STALE_S, GuestHome
from qvdnode.host.own_thread import in_own_thread
from qvdnode.model.errors import Conflict, FarmError, Forbidden, HomeFull, Invalid, NotFound
from qvdnode.model.home_files import FileKind, Upload

T = TypeVar("T")
UID = 0x9000_0000 + 1000
"""Ids of guests may be beyond what fits into a signed number."""
MIB = 1 << 20


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of 8 MiB on a file system of its own, below a folder that only root may enter."""
    outer = tmp_path / "outer"
    outer.mkdir(mode=0o700)
    (outer / "secret").write_text("of the host")
    folder = outer / "home"
    folder.mkdir()
    linux_calls.mount("home", folder, "tmpfs", 0, "size=8m,mode=700")
    os.chown(folder, UID, UID)
    yield folder
    linux_calls.umount(folder)


def now_s(home: Path) -> float:
    """The time of the test."""
    return home.parent.stat().st_mtime


async def done(home: Path, work: Callable[[GuestHome], T], uid: int = UID) -> T:
    return await in_own_thread(lambda: work(GuestHome(home, uid, now_s(home))), name="test-home")


def owned(path: Path, content: bytes = b"", uid: int = UID) -> Path:
    path.write_bytes(content)
    os.chown(path, uid, uid)
    return path


def upload(
    name: str = "a.bin", size: int = 10, folder: str = "", *, replace: bool = False
) -> Upload:
    return Upload(folder, name, size, "ab" * 16, replace=replace)


async def test_a_file_comes_in_parts_and_is_the_users(home: Path) -> None:
    wanted = upload(size=6)
    assert (await done(home, lambda at: at.upload(wanted, 0, b""))).received_bytes == 0
    state = await done(home, lambda at: at.upload(wanted, 0, b"abc"))
    assert (state.received_bytes, state.done) == (3, False)
    # Sent again, or out of turn: nothing changes, and it is told where to go on.
    assert (await done(home, lambda at: at.upload(wanted, 0, b"xyz"))).received_bytes == 3
    assert (await done(home, lambda at: at.upload(wanted, 5, b"z"))).received_bytes == 3
    assert not (home / "a.bin").exists()
    listing = await done(home, lambda at: at.list(""))
    assert listing.entries == ()
    assert (await done(home, lambda at: at.upload(wanted, 3, b"def"))).done
    facts = (home / "a.bin").stat()
    assert (facts.st_uid, facts.st_gid, facts.st_size) == (UID, UID, 6)
    assert [entry.name for entry in (await done(home, lambda at: at.list(""))).entries] == ["a.bin"]
    part = await done(home, lambda at: at.read("a.bin", 2, 100))
    assert (part.content, part.size_bytes) == (b"cdef", 6)
    assert os.geteuid() == 0  # of this thread, which goes on as it was
    assert (home.parent / "secret").read_text() == "of the host"


async def test_an_empty_file_and_a_replaced_one(home: Path) -> None:
    assert (await done(home, lambda at: at.upload(upload(size=0), 0, b""))).done
    with pytest.raises(Conflict):
        await done(home, lambda at: at.upload(upload(size=1), 0, b"x"))
    before = (await done(home, lambda at: at.read("a.bin", 0, 1))).version
    assert (await done(home, lambda at: at.upload(upload(size=1, replace=True), 0, b"x"))).done
    after = await done(home, lambda at: at.read("a.bin", 0, 1))
    assert after.content == b"x"
    assert after.version != before


async def test_more_than_was_said_is_refused_and_can_be_cancelled(home: Path) -> None:
    with pytest.raises(Invalid):
        await done(home, lambda at: at.upload(upload(size=2), 0, b"abc"))
    await done(home, lambda at: at.cancel(upload()))
    await done(home, lambda at: at.cancel(upload()))
    assert list(home.iterdir()) == []


async def test_room_is_told_before_it_is_used(home: Path) -> None:
    with pytest.raises(HomeFull, match="MiB left"):
        await done(home, lambda at: at.upload(upload(size=9 * MIB), 0, b""))
    big = upload(size=7 * MIB)
    assert not (await done(home, lambda at: at.upload(big, 0, b"x" * MIB))).done
    owned(home / "other", b"y" * (6 * MIB + MIB // 2))  # the user fills it meanwhile
    with pytest.raises(HomeFull):
        await done(home, lambda at: at.upload(big, MIB, b"x" * MIB))
    # What did not fit was undone; it can go on once there is room.
    (home / "other").unlink()
    assert (await done(home, lambda at: at.upload(big, MIB, b""))).received_bytes == MIB


@pytest.mark.parametrize("path", ["link", "up/secret", "there/secret", "proc/root/etc/passwd"])
async def test_no_link_leads_out(home: Path, path: str) -> None:
    (home / "link").symlink_to(home.parent / "secret")
    (home / "up").symlink_to("..")
    (home / "there").symlink_to(home.parent)
    (home / "proc").symlink_to("/proc/self")
    with pytest.raises(Invalid, match="link"):
        await done(home, lambda at: at.read(path, 0, 10))
    folder = path.rpartition("/")[0] or "link"
    with pytest.raises(FarmError):
        await done(home, lambda at: at.upload(upload(folder=folder), 0, b"x"))
    with pytest.raises(FarmError):
        await done(home, lambda at: at.list(folder))
    assert (home.parent / "secret").read_text() == "of the host"


async def test_an_upload_replaces_a_link_and_not_its_target(home: Path) -> None:
    target = owned(home / "target", b"kept")
    (home / "a.bin").symlink_to("target")
    assert (await done(home, lambda at: at.upload(upload(size=1, replace=True), 0, b"x"))).done
    assert target.read_bytes() == b"kept"
    assert (home / "a.bin").read_bytes() == b"x"


async def test_the_place_of_an_upload_may_be_taken_by_anything(home: Path) -> None:
    part = home / upload().part_name
    part.symlink_to(home.parent / "secret")
    with pytest.raises(FarmError):
        await done(home, lambda at: at.upload(upload(), 0, b"x"))
    part.unlink()
    os.link(owned(home / "other", b""), part)
    with pytest.raises(Conflict):
        await done(home, lambda at: at.upload(upload(), 0, b"x"))
    part.unlink()
    os.mkfifo(part)
    with pytest.raises(FarmError):
        await done(home, lambda at: at.upload(upload(), 0, b"x"))
    assert (home.parent / "secret").read_text() == "of the host"


async def test_what_is_no_file_is_not_opened_and_does_not_hang(home: Path) -> None:
    os.mkfifo(home / "fifo")
    (home / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "socket"))
        for name in ("fifo", "socket", "folder", "fifo/x"):
            with pytest.raises((Invalid, NotFound, Forbidden)):
                await done(home, partial(GuestHome.read, path=name, offset=0, length=10))
    with pytest.raises(Invalid):
        await done(home, lambda at: at.read("", 0, 10))
    with pytest.raises(Invalid):
        await done(home, lambda at: at.upload(upload(name="folder"), 0, b""))
    kinds = {entry.name: entry.kind for entry in (await done(home, lambda at: at.list(""))).entries}
    assert kinds == {
        "folder": FileKind.FOLDER,
        "fifo": FileKind.OTHER,
        "socket": FileKind.OTHER,
    }


async def test_only_what_the_user_may_read_is_read(home: Path) -> None:
    owned(home / "roots", b"x", uid=0).chmod(0o640)
    with pytest.raises(Forbidden):
        await done(home, lambda at: at.read("roots", 0, 10))
    (home / "closed").mkdir(mode=0o700)
    with pytest.raises(Forbidden):
        await done(home, lambda at: at.list("closed"))
    with pytest.raises(NotFound):
        await done(home, lambda at: at.read("nothing", 0, 10))


async def test_odd_names_and_times_are_listed(home: Path) -> None:
    odd = os.fsencode(home) + b"/\xff\n"
    os.close(os.open(odd, os.O_CREAT | os.O_WRONLY))
    old = owned(home / "old")
    os.utime(old, (2**40, 2**40))
    found = {entry.name: entry for entry in (await done(home, lambda at: at.list(""))).entries}
    assert found["\N{REPLACEMENT CHARACTER}" * 2].kind is FileKind.OTHER
    assert found["old"].kind is FileKind.FILE


async def test_a_large_folder_is_cut(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_home, "ENTRIES_MAX", 3)
    for number in range(5):
        owned(home / f"file{number}")
    listing = await done(home, lambda at: at.list(""))
    assert listing.is_cut
    assert len(listing.entries) == 3
    assert ENTRIES_MAX > 3


async def test_what_was_left_half_is_removed_after_a_day(home: Path) -> None:
    stale, fresh = home / ".qvd-upload-stale", home / ".qvd-upload-fresh"
    for path, age_s in ((stale, STALE_S + 60), (fresh, STALE_S - 60)):
        owned(path, b"x")
        os.utime(path, (now_s(home) - age_s, now_s(home) - age_s))
    await done(home, lambda at: at.upload(upload(), 0, b""))
    assert not stale.exists()
    assert fresh.exists()


async def test_a_home_that_is_gone_or_somebody_elses(home: Path) -> None:
    with pytest.raises(NotFound):
        await done(home / "nothing", lambda at: at.list(""))
    with pytest.raises(Forbidden):
        await done(home, lambda at: at.list(""), uid=UID + 1)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
