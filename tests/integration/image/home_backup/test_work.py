"""Homes saved and restored, beside desktops that have them open."""

import asyncio
import os
import shutil
import stat
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.host import loop_files, mounts
from qvdnode.image.core.home_snapshot import BLOCK_BYTES, Entry, Head, Kind, Snapshot
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.home_backup import work
from qvdnode.image.home_backup.access import lent
from qvdnode.image.home_backup.store import HomeStore, opened
from qvdnode.image.homes import HOME_UID, Homes
from qvdnode.image.layout import Layout
from qvdnode.image.settings import ImageSettings, SizeLimits
from qvdnode.image.size_limit import LoopLimit
from qvdnode.model.errors import Conflict, HostFailed, Invalid, NotFound, PartGone
from qvdnode.model.ids import Generation, UserId, VmId

pytestmark = pytest.mark.mounts

ALICE, BOB = UserId(5), UserId(6)
HOLDER = (VmId(7), Generation(1))
OWNERS = {ALICE: work.Owner("alice", "acme")}
FIRST, SECOND, THIRD = (f"2026-11-0{day}T10-00-00Z" for day in (1, 2, 3))
MIB = 1 << 20


class Lab:
    """A state folder with homes in files, and a backup."""

    def __init__(self, settings: ImageSettings) -> None:
        self.settings = replace(settings, size_limits=SizeLimits.LOOP)
        self.layout = Layout(settings.state_dir)
        self.homes = Homes(self.layout, QuotaProjects(settings.quota_project_base))
        self.folder = settings.state_dir / "backup"

    async def acquire(self, user_id: UserId = ALICE) -> Path:
        return await self.homes.acquire(user_id, HOLDER, 32, LoopLimit())

    async def release(self, user_id: UserId = ALICE) -> None:
        await self.homes.release(user_id, HOLDER)

    async def save(self, moment: str = FIRST) -> dict[int, work.Saved]:
        told: list[work.Saved] = []
        with opened(self.folder, make=True) as store:
            await work.save(self.layout, store, OWNERS, moment, told.append)
        return {saved.user_id: saved for saved in told}

    def found(self, store: HomeStore, at: str = "") -> Snapshot:
        return work.find(store, "alice", "acme", at)

    def blocks(self) -> list[Path]:
        return sorted(self.folder.glob("blocks/*/*"))


@pytest.fixture
def lab(settings: ImageSettings) -> Lab:
    return Lab(settings)


def fill(home: Path) -> None:
    """Something of every kind, as a user makes it."""
    (home / "docs").mkdir()
    (home / "docs" / "thesis").write_bytes(os.urandom(2 * MIB + 5))
    (home / "docs" / "thesis").chmod(0o640)
    os.link(home / "docs" / "thesis", home / "docs" / "again")
    (home / "link").symlink_to("/etc/passwd")
    os.mkfifo(home / "pipe")
    (home / "holes").touch()
    os.truncate(home / "holes", 1 << 40)
    (home / os.fsdecode(b"\xe9.txt")).write_text("latin-1")
    os.setxattr(home / "docs", "user.tag", b"red")
    for path in [home / "docs", *home.rglob("*")]:
        os.chown(path, HOME_UID, HOME_UID, follow_symlinks=False)


def looks(home: Path) -> dict[str, tuple[object, ...]]:
    """All that a restore is to bring back."""
    seen: dict[str, tuple[object, ...]] = {}
    for path in sorted(home.rglob("*")):
        facts = path.lstat()
        content: object = path.readlink() if path.is_symlink() else None
        if path.is_file() and not path.is_symlink() and facts.st_size < 1 << 30:
            content = path.read_bytes()
        seen[str(path.relative_to(home))] = (
            stat.S_IFMT(facts.st_mode), facts.st_mode, facts.st_uid, facts.st_gid, facts.st_size,
            facts.st_mtime_ns, facts.st_nlink, content,
        )  # fmt: skip
    return seen


@pytest.mark.parametrize("running", [True, False])
async def test_a_home_comes_back_in_a_folder_of_itself(lab: Lab, running: bool) -> None:
    home = await lab.acquire()
    fill(home)
    before = looks(home)
    if not running:
        await lab.release()
    saved = (await lab.save())[ALICE]
    assert (saved.failure, saved.left_out, saved.owner.login) == ("", (), "alice")
    with opened(lab.folder) as store:
        name = await work.restore_beside(lab.layout, ALICE, store, lab.found(store), "")
    home = await lab.acquire()
    assert looks(home / name) == before
    assert (home / name).stat().st_uid == HOME_UID
    assert os.getxattr(home / name / "docs", "user.tag") == b"red"
    assert (home / name / "holes").stat().st_blocks == 0
    await lab.release()
    assert not loop_files.in_use(lab.layout.home_file(ALICE))
    assert mounts.under(lab.settings.state_dir) == []


async def test_a_desktop_starts_while_its_home_is_read(lab: Lab) -> None:
    (await lab.acquire() / "letter").write_text("dear")
    await lab.release()
    async with lent(lab.layout, ALICE) as reading:
        home = await lab.acquire()
        (home / "new").write_text("new")
        assert set(os.listdir(reading)) == {"letter", "new"}  # noqa: PTH208 - a descriptor
        assert loop_files.in_use(lab.layout.home_file(ALICE))
        with pytest.raises(OSError, match="Read-only"):
            os.mkdir("mine", dir_fd=reading)
        await lab.release()
    await lab.save()
    with opened(lab.folder) as store:
        assert {entry.path for entry in lab.found(store).entries} == {"", "letter", "new"}


async def test_those_who_open_a_home_at_once_get_one_device(lab: Lab) -> None:
    await lab.acquire()
    await lab.release()
    file = os.fsencode(lab.layout.home_file(ALICE)) + b"\n"

    async def look() -> None:
        async with lent(lab.layout, ALICE):
            backing = Path("/sys/block").glob("loop*/loop/backing_file")
            assert sum(path.read_bytes() == file for path in backing) == 1

    for _ in range(10):
        await asyncio.gather(look(), lab.acquire(), look())
        await lab.release()


async def test_only_what_is_new_is_read_and_kept(lab: Lab) -> None:
    home = await lab.acquire()
    (home / "old").write_bytes(os.urandom(3 * MIB))
    (home / "copy").write_bytes((home / "old").read_bytes())
    assert (await lab.save())[ALICE].read_bytes == 6 * MIB
    kept = lab.blocks()
    assert len(kept) == 3
    (home / "new").write_bytes(b"x")
    assert (await lab.save(SECOND))[ALICE].read_bytes == 1
    assert len(lab.blocks()) == 4
    await lab.release()


async def test_one_file_of_an_earlier_day_comes_back_elsewhere(lab: Lab, tmp_path: Path) -> None:
    home = await lab.acquire()
    (home / "a").write_text("first")
    await lab.save()
    (home / "a").write_text("second")
    await lab.save(SECOND)
    with opened(lab.folder) as store:
        snapshot = lab.found(store, FIRST[:10] + "T23")
        await work.restore_into(tmp_path / "out", store, snapshot, "/a")
        with pytest.raises(Conflict, match="already"):
            await work.restore_into(tmp_path / "out", store, snapshot, "a")
        with pytest.raises(NotFound):
            await work.restore_into(tmp_path / "none", store, snapshot, "b")
    assert (tmp_path / "out" / "a").read_text() == "first"
    assert not (tmp_path / "none").exists()
    await lab.release()


async def test_a_desktops_programs_with_rights_get_none_on_the_host(
    lab: Lab, tmp_path: Path
) -> None:
    home = await lab.acquire()
    # What the root of a desktop makes in a home belongs to uid 0 on the disk.
    (home / "bin").mkdir(mode=0o755)
    (home / "bin" / "shell").write_bytes(b"program")
    (home / "bin" / "shell").chmod(0o6755)
    (home / "bin").chmod(0o2755)
    os.mkfifo(home / "pipe")
    (home / "pipe").chmod(0o4622)
    home.chmod(0o4777)
    await lab.save()
    with opened(lab.folder) as store:
        for path, out in (("", "whole"), ("bin", "part")):
            await work.restore_into(tmp_path / out, store, lab.found(store), path)
            facts = (tmp_path / out).stat()
            assert (stat.S_IMODE(facts.st_mode), facts.st_uid) == (0o700, 0)
        name = await work.restore_beside(lab.layout, ALICE, store, lab.found(store), "")
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.lstat().st_mode)
        for path in tmp_path.rglob("*")
        if "whole" in path.parts or "part" in path.parts
    }
    assert modes["whole/bin/shell"] == modes["part/bin/shell"] == 0o755
    assert modes["whole/bin"] == 0o755
    assert not any(mode & 0o6000 for mode in modes.values())
    assert stat.S_IMODE((home / name / "bin" / "shell").stat().st_mode) == 0o6755  # as it was
    await lab.release()


async def test_a_backup_that_leads_elsewhere_by_links_is_refused(lab: Lab, tmp_path: Path) -> None:
    home = await lab.acquire()
    (home / "a").write_bytes(b"text")
    await lab.save()
    others = tmp_path / "others"
    (others / "in").mkdir(parents=True)
    (others / "in" / "precious").touch()
    (lab.folder / "blocks" / "zz").symlink_to(others / "in")
    (lab.folder / "homes" / "9").symlink_to(others)
    with opened(lab.folder) as store:
        assert work.thin_out(store, 1) == 0
        assert store.users() == [ALICE]
    (lab.folder / "blocks").rename(lab.folder / "away")
    (lab.folder / "blocks").symlink_to(others)
    with pytest.raises(HostFailed, match="is a link"), opened(lab.folder):
        pass
    assert (others / "in" / "precious").exists()
    await lab.release()


async def test_no_block_or_snapshot_keeps_a_restore_waiting_or_fills_memory(
    lab: Lab, tmp_path: Path
) -> None:
    home = await lab.acquire()
    (home / "a").write_bytes(b"text")
    await lab.save()
    (block,) = lab.blocks()
    for replace_it in (
        lambda: os.mkfifo(block),
        lambda: block.write_bytes(zlib.compress(bytes(64 * MIB))),
        lambda: block.symlink_to("/dev/zero"),
    ):
        block.unlink()
        replace_it()
        with opened(lab.folder) as store, pytest.raises((Invalid, HostFailed)):
            await work.restore_into(tmp_path / "out", store, lab.found(store), "")
        assert not (tmp_path / "out").exists()
    snapshot = lab.folder / "homes" / "5" / f"{FIRST}.snapshot"
    snapshot.rename(snapshot.with_name(f"{SECOND}.snapshot"))
    with opened(lab.folder) as store, pytest.raises(Invalid, match="another home or time"):
        lab.found(store)
    snapshot.with_name(f"{SECOND}.snapshot").unlink()
    os.mkfifo(snapshot)
    with opened(lab.folder) as store, pytest.raises(OSError, match="regular"):
        lab.found(store)
    await lab.release()


async def test_more_than_the_disk_holds_is_not_begun(lab: Lab, tmp_path: Path) -> None:
    content = b"x" * BLOCK_BYTES
    with opened(lab.folder, make=True) as store:
        digest = store.put(content)
        many = Entry(
            "a", Kind.FILE, 0o644, HOME_UID, HOME_UID, 1,
            size=1 << 45, blocks=tuple((number, digest) for number in range(1 << 20)),
        )  # fmt: skip
        snapshot = Snapshot(Head(5, "alice", "acme", FIRST, 0), (many,) * 64)
        with pytest.raises(HostFailed, match="are free"):
            await work.restore_into(tmp_path / "out", store, snapshot, "")
        with pytest.raises(HostFailed, match="are free"):
            await work.restore_lost(lab.settings, ALICE, store, snapshot)
    assert not (tmp_path / "out").exists()
    assert not lab.layout.home_file(ALICE).exists()


async def test_one_damaged_home_keeps_nobody_else_from_theirs(lab: Lab) -> None:
    for user in (ALICE, UserId(4)):
        await lab.acquire(user)
        await lab.release(user)
    await lab.save()
    (lab.folder / "homes" / "4" / f"{FIRST}.snapshot").write_bytes(b"damaged")
    (lab.folder / "homes" / "3").mkdir()
    with opened(lab.folder) as store:
        assert lab.found(store).head.user_id == ALICE
        with pytest.raises(Invalid, match="cannot be used"):
            work.find(store, "bob", "acme", "")


async def test_a_lost_home_is_made_again(lab: Lab) -> None:
    home = await lab.acquire()
    fill(home)
    before = looks(home)
    await lab.release()
    await lab.save()
    with opened(lab.folder) as store:
        snapshot = lab.found(store)
        with pytest.raises(Conflict, match="has a home"):
            await work.restore_lost(lab.settings, ALICE, store, snapshot)
        lab.layout.home_file(ALICE).unlink()
        shutil.rmtree(lab.layout.home(ALICE))
        with pytest.raises(PartGone):
            await work.restore_beside(lab.layout, ALICE, store, snapshot, "")
        await work.restore_lost(lab.settings, ALICE, store, snapshot)
    assert looks(await lab.acquire()) == before
    await lab.release()


async def test_damage_is_found_and_mended_by_the_next_backup(lab: Lab, tmp_path: Path) -> None:
    home = await lab.acquire()
    (home / "a").write_bytes(b"text" * 1000)
    await lab.save()
    (block,) = lab.blocks()
    block.write_bytes(block.read_bytes()[:-3])
    with opened(lab.folder) as store:
        with pytest.raises(Invalid, match="damaged"):
            await work.restore_into(tmp_path / "out", store, lab.found(store), "")
        assert not (tmp_path / "out").exists()
        (told,) = work.check(store).damage
        assert "'a' of user 5" in told
    await lab.save(SECOND)
    with opened(lab.folder) as store:
        assert work.check(store) == work.Checked(1, 2, 1, ())
    await lab.release()


async def test_old_backups_go_with_what_only_they_needed(lab: Lab) -> None:
    home = await lab.acquire()
    for moment in (FIRST, SECOND, THIRD):
        (home / "a").write_text(moment)
        await lab.save(moment)
    with opened(lab.folder) as store:
        assert work.thin_out(store, 2) == 1
        assert store.times(ALICE) == [SECOND, THIRD]
        assert work.check(store).damage == ()
    assert len(lab.blocks()) == 2
    await lab.release()


async def test_a_home_that_cannot_be_opened_does_not_keep_others_from_it(lab: Lab) -> None:
    await lab.acquire()
    lab.layout.home_file(BOB).write_bytes(bytes(8 * MIB))
    saved = await lab.save()
    assert saved[ALICE].failure == ""
    assert saved[BOB].failure != ""
    await lab.release()


async def test_what_a_user_makes_to_harm_is_left_out_and_named(lab: Lab) -> None:
    home = await lab.acquire()
    deep = os.open(home, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=deep)
        inner = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(deep)
    os.mknod(home / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    saved = (await lab.save())[ALICE]
    assert saved.failure == ""
    assert [line.split(" ", 1)[1] for line in saved.left_out] == [
        "lies in more than 200 folders",
        "is a device",
    ]
    await lab.release()


async def test_what_does_not_fit_leaves_the_home_as_it_was(lab: Lab) -> None:
    home = await lab.acquire()
    (home / "big").write_bytes(os.urandom(14 * MIB))
    await lab.save()
    (home / "more").write_bytes(os.urandom(8 * MIB))
    with opened(lab.folder) as store, pytest.raises(HostFailed, match="No space"):
        await work.restore_beside(lab.layout, ALICE, store, lab.found(store), "")
    assert {path.name for path in home.iterdir()} == {"big", "more"}
    await lab.release()


async def test_a_backup_that_was_cut_off_is_not_there(lab: Lab) -> None:
    home = await lab.acquire()
    (home / "a").write_bytes(b"text")
    with opened(lab.folder, make=True) as store:
        store.put(b"text")
        with pytest.raises(Conflict, match="works on"), opened(lab.folder):
            pass
    assert lab.blocks() == []
    await lab.save()
    assert list((lab.folder / "new").iterdir()) == []
    assert len(lab.blocks()) == 1
    await lab.release()


async def test_a_folder_that_its_user_put_there_instead_is_not_filled(
    lab: Lab, tmp_path: Path
) -> None:
    await lab.acquire()
    theirs = Entry("x", Kind.FILE, 0o644, HOME_UID, HOME_UID, 1, size=BLOCK_BYTES)
    with opened(lab.folder, make=True) as store:
        store.add(Snapshot(Head(5, "alice", "acme", FIRST, 0), (theirs,)))
        (tmp_path / "theirs").mkdir()
        os.chown(tmp_path / "theirs", HOME_UID, HOME_UID)
        place = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(Conflict, match="replaced"):
            await asyncio.to_thread(
                work._write,
                place,
                "theirs",
                store,
                (theirs,),
                HOME_UID,
            )
        os.close(place)
    assert list((tmp_path / "theirs").iterdir()) == []
    await lab.release()
