"""Imports: what is kept, what is refused, and that a refusal leaves nothing."""

import asyncio
import gzip
import lzma
import os
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.cli.image_tar import tar_of
from qvdnode.host import disk_space, process
from qvdnode.image.free_space import FreeSpaceFloor
from qvdnode.image.importer import Importer
from qvdnode.image.settings import ImageSettings
from qvdnode.model.errors import BadImage, Conflict, HostFailed, NodeFull, TimedOut
from qvdnode.model.ids import ImageId
from tests.integration.image.seen_version import seen_version
from tests.integration.image.tiny_root import SHELL, Piece, complete, stream, tar, without
from tests.waiting import until

IMAGE = ImageId(3)
EVIL = Path("/etc/evil")
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_raw=ep, as the kernel keeps it."""


async def imported(settings: ImageSettings, content: bytes) -> Path:
    """The root of an image that was imported and placed."""
    importer = Importer(settings)
    await importer.place(await importer.import_tar(stream(content), "test"), IMAGE, 1)
    return seen_version(settings, IMAGE, 1)


def left(settings: ImageSettings) -> list[str]:
    """What of images is on the disk, beside the store."""
    images = (path.name for path in (settings.state_dir / "images").iterdir())
    return sorted(name for name in images if name != "store")


async def zstd(content: bytes) -> bytes:
    return (await process.run(["zstd", "-c", "-q"], stdin=content)).stdout


async def test_owners_modes_links_holes_and_attributes_are_kept(settings: ImageSettings) -> None:
    xattr = (("SCHILY.xattr.security.capability", CAPABILITY.decode("latin-1")),)
    root = await imported(
        settings,
        tar(
            complete(
                Piece("./usr/bin/ping", b"ping", pax=xattr),
                Piece("./usr/bin/su", b"su", mode=0o4755),
                Piece("./usr/bin/su2", kind=tarfile.LNKTYPE, link="./usr/bin/su"),
                Piece("./var/mail", kind=tarfile.DIRTYPE, mode=0o2775, gid=8),
                Piece("./var/hole", bytes(8 << 20) + b"end", uid=33, gid=33, mode=0o600),
                Piece("./var/pipe", kind=tarfile.FIFOTYPE, mode=0o622),
            )
        ),
    )
    assert os.getxattr(root / "usr/bin/ping", "security.capability") == CAPABILITY
    assert (root / "usr/bin/su").stat().st_mode & 0o7777 == 0o4755
    assert (root / "usr/bin/su").stat().st_ino == (root / "usr/bin/su2").stat().st_ino
    assert (root / "var/mail").stat().st_mode & 0o7777 == 0o2775
    assert (root / "var/mail").stat().st_gid == 8
    hole = (root / "var/hole").stat()
    assert (hole.st_uid, hole.st_gid, hole.st_size) == (33, 33, (8 << 20) + 3)
    objects = (settings.state_dir / "images/store/objects").glob("*/*")
    (kept,) = (facts for path in objects if (facts := path.stat()).st_size == hole.st_size)
    assert kept.st_blocks * 512 < 4 << 20
    assert hole.st_mtime == 1_700_000_000
    assert (root / "var/pipe").is_fifo()
    assert (root / "etc/shadow").stat().st_gid == 42
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    images = settings.state_dir / "images"
    assert [(images / name).stat().st_mode & 0o777 for name in ("3", "store")] == [0o700, 0o700]


@pytest.mark.parametrize("packed", ["plain", "gzip", "xz", "zstd"])
async def test_compressed_archives_are_unpacked(settings: ImageSettings, packed: str) -> None:
    content = tar(complete())
    if packed == "gzip":
        content = gzip.compress(content)
    elif packed == "xz":
        content = lzma.compress(content)
    elif packed == "zstd":
        content = await zstd(content)
    root = await imported(settings, content)
    assert (root / "usr/bin/dash").read_bytes() == SHELL.read_bytes()


async def test_a_folder_that_is_sent_arrives_as_it_is(settings: ImageSettings) -> None:
    importer = Importer(settings)
    seen = await imported(settings, tar(complete(Piece("./usr/bin/su", b"su", mode=0o4755))))
    first = settings.state_dir / "copy"
    await process.run(["cp", "-a", seen, first])
    os.link(first / "usr/bin/su", first / "usr/bin/su2")
    (first / "usr/bin/ping").write_bytes(b"ping")
    os.setxattr(first / "usr/bin/ping", "security.capability", CAPABILITY)
    os.setxattr(first / "usr/bin/ping", "user.note", b"kept")
    await importer.place(await importer.import_tar(tar_of(first), "copy"), IMAGE, 2)
    second = seen_version(settings, IMAGE, 2)
    assert os.getxattr(second / "usr/bin/ping", "security.capability") == CAPABILITY
    assert os.getxattr(second / "usr/bin/ping", "user.note") == b"kept"
    assert (second / "usr/bin/su").stat().st_mode & 0o7777 == 0o4755
    assert (second / "usr/bin/su").stat().st_ino == (second / "usr/bin/su2").stat().st_ino
    assert (second / "usr/bin/sh").readlink() == Path("/bin/dash")
    assert (second / "etc/shadow").stat().st_gid == 42


REFUSED = {
    "device": (tar(complete(Piece("./srv/sda", kind=tarfile.BLKTYPE))), "device node"),
    "whiteout": (tar(complete(Piece("./etc/x", kind=tarfile.CHRTYPE))), "device node"),
    "up": (tar(complete(Piece("../../etc/cron.d/evil", b"x"))), "leads out"),
    "absolute": (tar(complete(Piece("/etc/cron.d/evil", b"x"))), "absolute path"),
    "link": (
        tar(complete(Piece("out", kind=tarfile.SYMTYPE, link="/etc"), Piece("out/evil", b"x"))),
        "through a link",
    ),
    "hardlink": (
        tar(complete(Piece("passwd", kind=tarfile.LNKTYPE, link="../../etc/passwd"))),
        "leads out",
    ),
    "hardlink through a link": (
        tar(
            complete(
                Piece("out", kind=tarfile.SYMTYPE, link="/etc"),
                Piece("mine", kind=tarfile.LNKTYPE, link="out/passwd"),
            )
        ),
        "through a link",
    ),
    "dangling hardlink": (
        tar(complete(Piece("a", kind=tarfile.LNKTYPE, link="nowhere"))),
        "not there",
    ),
    "folder and file": (
        tar(complete(Piece("./srv/x", b"x"), Piece("./srv", b"x"))),
        "a folder with files in it, and a file, too",
    ),
    "file as folder": (tar(complete(Piece("./etc/passwd/x", b"x"))), "through a link"),
    "foreign owner": (tar(complete(Piece("./x", b"", uid=100_000))), "100000"),
    "long name": (tar(complete(Piece("./" + "x" * 300, b""))), "too long"),
    "windows": (tar([Piece("./Windows/System32/ntoskrnl.exe", b"MZ")]), "only Linux images"),
    "windows disk": (b"vhdxfile" + bytes(4096), "only Linux images"),
    "windows image": (b"MSWIM\0\0\0" + bytes(4096), "only Linux images"),
    "medium": (bytes(0x8001) + b"CD001" + bytes(4096), "only Linux images"),
    "no shell": (tar(without("dash")), "only Linux images"),
    "not ELF": (tar([*without("dash"), Piece("./usr/bin/dash", b"MZ")]), "only Linux images"),
    "no session script": (tar(without("session")), "/usr/lib/qvd/session is missing"),
    "no init": (tar(without("init")), "/usr/lib/qvd/init is missing"),
    "no passwd": (tar(without("passwd")), "/etc/passwd is missing"),
    "version": (
        tar([*without("session"), Piece("usr/lib/qvd/session", b"#!\n# qvd-session-version: 9\n")]),
        "version 9",
    ),
    "no folder": (tar(complete(Piece("./run", b"x"))), "/run must be a folder"),
    "home is a link": (tar(complete(Piece("home", kind=tarfile.SYMTYPE, link="/"))), "/home must"),
    "nothing": (b"", "nothing was sent"),
    "text": (b"hello" * 1000, "not a tar archive"),
    "cut in a file": (tar(complete())[:70_000], "cut off"),
    "cut between files": (tar([Piece("a", b"x" * 512)])[:1024], "cut off"),
    "cut gzip": (gzip.compress(tar(complete()))[:30_000], "cut off"),
    "cut xz": (lzma.compress(tar(complete()))[:30_000], "cut off"),
    "broken gzip": (gzip.compress(tar(complete()))[:20] + bytes(4000), "broken"),
    "no number": (tar(complete(Piece("a", pax=(("GNU.sparse.map", "0,x"),)))), "broken"),
    "no time": (tar(complete(Piece("a", pax=(("mtime", "inf"),)))), "an invalid time of change"),
    "zero byte": (
        tar(complete(Piece("a", kind=tarfile.SYMTYPE, link="b", pax=(("linkpath", "b\0c"),)))),
        "zero byte",
    ),
    "endless absolute name": (tar(complete(Piece("/" + "x" * 70_000))), "too long"),
    "endless way out": (tar(complete(Piece("../" * 30_000 + "x"))), "too long"),
    "large header": (
        tar(complete(Piece("a", bytes(2 << 20), kind=tarfile.GNUTYPE_LONGNAME))),
        "a header of 2097152 bytes",
    ),
    "nested headers": (
        tar(complete(*[Piece("a", b"x\0", kind=tarfile.GNUTYPE_LONGNAME)] * 1300)),
        "nested or large",
    ),
    "broken header": (
        tar([Piece("a", b"x" * 512), Piece("b", b"y")]).replace(b"b\0\0\0", b"c\0\0\0"),
        "broken",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_bad_image_is_refused_and_leaves_nothing(
    settings: ImageSettings, case: str
) -> None:
    content, told = REFUSED[case]
    with pytest.raises(BadImage, match=told):
        await Importer(settings).import_tar(stream(content), "bad")
    assert left(settings) == []
    assert not EVIL.exists()


async def test_bombs_are_refused(settings: ImageSettings) -> None:
    small = replace(settings, import_max_mib=1)
    content = gzip.compress(tar(complete(Piece("./zeros", bytes(4 << 20)))))
    with pytest.raises(BadImage, match="import_max_mib"):
        await Importer(small).import_tar(stream(content), "bomb")
    few = replace(settings, import_max_entries=3)
    with pytest.raises(BadImage, match="import_max_entries"):
        await Importer(few).import_tar(stream(tar(complete())), "bomb")
    assert left(settings) == []


async def test_no_import_may_have_the_memory_of_the_node(settings: ImageSettings) -> None:
    def limits() -> list[str]:
        """The limits of memory of the children that unpack."""
        return [
            line
            for pid in Path("/proc/thread-self/children").read_text().split()
            if b"qvdnode.image.unpack" in Path(f"/proc/{pid}/cmdline").read_bytes()
            for line in Path(f"/proc/{pid}/limits").read_text().splitlines()
            if line.startswith("Max address space") and line.split()[3] != "unlimited"
        ]

    async def stalling() -> AsyncIterator[bytes]:
        yield tar(complete())[:50_000]
        await asyncio.Event().wait()

    task = asyncio.create_task(Importer(settings).import_tar(stalling(), "slow"))
    await until(limits, what="a limit of the child's memory")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("content", [b"", b"x"])
async def test_small_files_meet_the_floor_too(
    settings: ImageSettings, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    room = disk_space.free_mib(settings.state_dir)
    # The importer believes that there is room; its child looks for itself.
    monkeypatch.setattr(FreeSpaceFloor, "require", lambda *_: None)
    many = tar(complete(*(Piece(f"./tiny/{number}", content) for number in range(5_000))))
    tight = replace(settings, free_floor_mib=room + 10_000)
    with pytest.raises(HostFailed, match="nearly full"):
        await Importer(tight).import_tar(stream(many, 1 << 20), "test")
    assert left(settings) == []


async def test_below_the_floor_nothing_is_imported(settings: ImageSettings) -> None:
    full = replace(settings, free_floor_mib=1 << 40)
    with pytest.raises(NodeFull, match="nearly full"):
        await Importer(full).import_tar(stream(tar(complete())), "big")
    assert left(settings) == []


async def test_what_desktops_were_promised_is_not_taken_by_an_import(
    settings: ImageSettings,
) -> None:
    all_of_it = disk_space.free_mib(settings.state_dir)

    async def promised() -> int:
        return all_of_it

    with pytest.raises(NodeFull, match=rf"beside {all_of_it} MiB that desktops were promised"):
        await Importer(settings, promised).import_tar(stream(tar(complete())), "big")
    assert left(settings) == []


async def test_a_full_disk_leaves_nothing(settings: ImageSettings) -> None:
    images = settings.state_dir / "images"
    await process.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", images])
    try:
        content = tar(complete(Piece("./big", os.urandom(4 << 20))))
        tight = replace(settings, free_floor_mib=0)
        with pytest.raises(HostFailed, match="No space left"):
            await Importer(tight).import_tar(stream(content), "big")
        assert left(settings) == []
    finally:
        await process.run(["umount", images])


async def test_a_sender_that_vanishes_leaves_nothing(settings: ImageSettings) -> None:
    async def vanishing() -> AsyncIterator[bytes]:
        yield tar(complete())[:50_000]
        raise TimedOut("nothing came for 60 s")

    with pytest.raises(TimedOut):
        await Importer(settings).import_tar(vanishing(), "gone")
    assert left(settings) == []


async def test_an_import_that_is_cancelled_leaves_nothing(settings: ImageSettings) -> None:
    reached = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield tar(complete())[:50_000]
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Importer(settings).import_tar(stalling(), "slow"))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(settings) == []


async def test_an_import_that_takes_too_long_is_ended(settings: ImageSettings) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield tar(complete())[:50_000]
        await asyncio.Event().wait()

    with pytest.raises(TimedOut):
        await Importer(replace(settings, import_limit_s=0.5)).import_tar(stalling(), "slow")
    assert left(settings) == []


async def test_a_version_is_placed_once_and_what_is_discarded_is_gone(
    settings: ImageSettings,
) -> None:
    await imported(settings, tar(complete()))
    importer = Importer(settings)
    again = await importer.import_tar(stream(tar(complete())), "again")
    with pytest.raises(Conflict):
        await importer.place(again, IMAGE, 1)
    await importer.discard(again)
    assert left(settings) == ["3"]


async def test_the_last_version_on_disk_is_told(settings: ImageSettings) -> None:
    importer = Importer(settings)
    assert await importer.last_version(IMAGE) == 0
    for version in (2, 10):
        one = await importer.import_tar(stream(tar(complete())), "test")
        await importer.place(one, IMAGE, version)
    assert await importer.last_version(IMAGE) == 10


async def test_removing_an_image_and_sweeping_what_a_crash_left(settings: ImageSettings) -> None:
    await imported(settings, tar(complete()))
    importer = Importer(settings)
    await importer.import_tar(stream(tar(complete())), "never-placed")
    assert len(await importer.sweep()) == 1
    assert left(settings) == ["3"]
    await importer.remove(IMAGE)
    await importer.remove(IMAGE)
    assert left(settings) == []


@pytest.mark.parametrize("there", [True, False])
async def test_a_removal_that_a_crash_cut_short_is_finished(
    settings: ImageSettings, *, there: bool
) -> None:
    root = await imported(settings, tar(complete()))
    await Importer(settings).mark_removal(IMAGE)
    later = Importer(settings)
    asked: list[ImageId] = []

    async def exists(image_id: ImageId) -> bool:
        asked.append(image_id)
        return there

    await later.sweep()
    assert root.is_dir()
    await later.finish_removals(exists)
    assert left(settings) == (["3"] if there else [])
    await later.finish_removals(exists)
    assert asked == [IMAGE]


async def test_an_image_that_is_spared_stays(settings: ImageSettings) -> None:
    await imported(settings, tar(complete()))
    importer = Importer(settings)
    await importer.mark_removal(IMAGE)
    await importer.unmark_removal(IMAGE)
    await importer.mark_removal(ImageId(9))  # which was never placed

    async def gone(image_id: ImageId) -> bool:
        raise AssertionError(image_id)

    await importer.finish_removals(gone)
    assert left(settings) == ["3"]


async def test_progress_is_told(settings: ImageSettings) -> None:
    told: list[int] = []
    content = tar(complete(Piece("./big", os.urandom(20 << 20))))
    await Importer(settings).import_tar(stream(content, 1 << 20), "big", told.append)
    assert told
    assert told == sorted(told)
