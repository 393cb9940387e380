"""Homes saved and restored, beside desktops that have them open."""

import asyncio
import os
import shutil
import stat
from pathlib import Path

import pytest

from qvdnode.host import loop_files, mounts
from qvdnode.image.home_backup import work
from qvdnode.image.home_backup.access import lent
from qvdnode.image.home_backup.store import opened
from qvdnode.image.homes import HOME_UID
from qvdnode.model.errors import Conflict, HostFailed, Invalid, NotFound, PartGone
from tests.integration.image.home_backup.lab import (
    ALICE,
    BOB,
    FIRST,
    MIB,
    SECOND,
    THIRD,
    Lab,
)

pytestmark = pytest.mark.mounts


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
