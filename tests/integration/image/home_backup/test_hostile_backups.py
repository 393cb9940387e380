"""Homes and backups that were made to harm whoever saves or restores them."""

import asyncio
import os
import stat
import zlib
from pathlib import Path

import pytest

from qvdnode.image.core.home_snapshot import BLOCK_BYTES, Entry, Head, Kind, Snapshot
from qvdnode.image.home_backup import reading, work
from qvdnode.image.home_backup.store import opened
from qvdnode.image.homes import HOME_UID
from qvdnode.model.errors import Conflict, HostFailed, Invalid
from qvdnode.model.ids import UserId
from tests.integration.image.home_backup.lab import (
    ALICE,
    FIRST,
    MIB,
    SECOND,
    Lab,
)

pytestmark = pytest.mark.mounts


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


@pytest.mark.parametrize("what", ["names", "one folder", "pieces"])
async def test_a_home_of_endless_names_or_pieces_does_not_fill_memory(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(reading, "NOTES_BYTES_MAX", 20_000)
    home = await lab.acquire()
    if what == "pieces":
        with (home / "sparse").open("wb") as file:
            for number in range(300):
                file.seek(number * BLOCK_BYTES)
                file.write(b"x")
    else:
        (home / "one").write_text("x")
        for number in range(300):
            folder = home / (str(number // 20) if what == "names" else "many")
            folder.mkdir(exist_ok=True)
            (folder / str(number)).hardlink_to(home / "one")
    assert (await lab.save())[ALICE].failure.startswith("The home has too many")
    with opened(lab.folder) as store:
        assert store.times(ALICE) == []
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
