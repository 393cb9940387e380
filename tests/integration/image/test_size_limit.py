"""What roots and homes take of the disk: promised, given at once, given back."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from qvdnode.host import disk_space, loop_files, mounts, process, project_quota
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.image.settings import ImageSettings, SizeLimits
from qvdnode.image.size_limit import LimitedFolder, LoopLimit
from qvdnode.model.errors import HostFailed, NodeFull
from qvdnode.model.ids import Generation, UserId, VmId
from tests.fakes.orders import FLAVOUR, desktop_order
from tests.integration.image.bare_guest import IDS
from tests.integration.image.conftest import ORDER
from tests.integration.image.test_overlay import ONE, USER, VM, as_guest, write_letter
from tests.waiting import until

pytestmark = pytest.mark.mounts


def allocated_mib(path: Path) -> int:
    return path.stat().st_blocks * 512 >> 20


def has_at_most(path: Path, mib: int) -> bool:
    return allocated_mib(path) <= mib


async def test_what_is_deleted_in_a_root_or_a_home_gives_its_space_back(
    ready: ImageSettings,
) -> None:
    rootfs = OverlayRootfs(replace(ready, size_limits=SizeLimits.LOOP))
    made = await rootfs.mount(ORDER, ONE, IDS)
    state = ready.state_dir
    for place, guest_id, file, point in (
        (f"{made.home}/big", 1000, state / "homes/5.img", state / "homes/5"),
        ("var/lib/big", 0, state / "vms/7/1/disk.img", state / "vms/7/1/disk"),
    ):
        before = allocated_mib(file)
        write = f"head -c 20M /dev/zero | tr '\\0' x > {place}"
        assert (await as_guest(made, IDS, write, guest_id=guest_id)).startswith("0")
        await process.run(["sync", "-f", point])
        assert allocated_mib(file) >= before + 19
        delete = f"rm {place}"
        assert (await as_guest(made, IDS, delete, guest_id=guest_id)).startswith("0")
        # With the next commit of its journal, so within five seconds.
        given_back = partial(has_at_most, file, before + 2)
        await until(given_back, limit_s=30, what=f"the space in {file}")
    await rootfs.unmount(VM, USER, ONE)
    rootfs.close()


async def test_what_is_cut_off_grows_no_more_and_a_home_keeps_what_was_synced(
    ready: ImageSettings,
) -> None:
    rootfs = OverlayRootfs(replace(ready, size_limits=SizeLimits.LOOP))
    made = await rootfs.mount(ORDER, ONE, IDS)
    other = await rootfs.mount(desktop_order(8, user_id=6, flavour=ORDER.flavour), ONE, IDS)
    await write_letter(made, IDS)
    await as_guest(made, IDS, f"sync {made.home}/letter && sync -f {made.home}", guest_id=1000)
    write = f"head -c 20M /dev/zero > {made.home}/big; head -c 20M /dev/zero > var/lib/big"
    await as_guest(made, IDS, write, guest_id=0)
    await rootfs.block_writes(VM, USER, ONE)
    files = [ready.state_dir / name for name in ("homes/5.img", "vms/7/1/disk.img")]
    sizes = [allocated_mib(file) for file in files]
    assert "rror" in await as_guest(made, IDS, f"echo late > {made.home}/late", guest_id=1000)
    with pytest.raises(HostFailed, match="Try again in a moment"):  # it would have errors, too
        await rootfs.mount(desktop_order(9, user_id=USER, flavour=ORDER.flavour), ONE, IDS)
    after = OverlayRootfs(replace(ready, size_limits=SizeLimits.LOOP))  # the node comes back
    assert await after.adopt(VM, USER, ONE)
    with pytest.raises(HostFailed, match="Try again in a moment"):
        await after.mount(desktop_order(9, user_id=USER, flavour=ORDER.flavour), ONE, IDS)
    after.close()
    await rootfs.unmount(VM, USER, ONE)
    assert not list((ready.state_dir / "homes").glob("*.writes-blocked"))
    assert allocated_mib(files[0]) == sizes[0]
    assert (await as_guest(other, IDS, "echo fine > var/lib/big")).startswith("0")
    again = await rootfs.mount(ORDER, Generation(2), IDS)
    assert (again.home / "letter").read_text(encoding="ascii") == "dear\n"
    await rootfs.unmount(VM, USER, Generation(2))
    await rootfs.unmount(VmId(8), UserId(6), ONE)
    await rootfs.block_writes(VM, USER, ONE)  # nothing is there any more
    rootfs.close()


async def test_what_is_cut_off_by_quota_grows_no_more_until_the_next_start(
    ready: ImageSettings,
) -> None:
    if not project_quota.available(ready.state_dir):
        pytest.skip(f"the file system of {ready.state_dir} has no project quota")
    rootfs = OverlayRootfs(replace(ready, size_limits=SizeLimits.PROJECT))
    made = await rootfs.mount(ORDER, ONE, IDS)
    await write_letter(made, IDS)
    places = ((f"{made.home}/big", 1000), ("var/lib/big", 0))
    for place, guest_id in places:
        write = f"head -c 8M /dev/zero > {place}"
        assert (await as_guest(made, IDS, write, guest_id=guest_id)).startswith("0")
    await rootfs.block_writes(VM, USER, ONE)
    for place, guest_id in places:
        write = f"head -c 4M /dev/zero >> {place}"
        told = await as_guest(made, IDS, write, guest_id=guest_id)
        assert "quota exceeded" in told or "No space left" in told
    with pytest.raises(HostFailed, match="Try again in a moment"):
        await rootfs.mount(desktop_order(9, user_id=USER, flavour=ORDER.flavour), ONE, IDS)
    await rootfs.unmount(VM, USER, ONE)
    again = await rootfs.mount(ORDER, Generation(2), IDS)
    assert (again.home / "letter").read_text(encoding="ascii") == "dear\n"
    more = f"head -c 4M /dev/zero >> {again.home}/big"
    assert (await as_guest(again, IDS, more, guest_id=1000)).startswith("0")
    await rootfs.unmount(VM, USER, Generation(2))
    rootfs.close()


async def test_the_file_system_of_the_host_is_never_shut_down(
    ready: ImageSettings, state_dir: Path
) -> None:
    (state_dir / "homes/5").mkdir()
    await loop_files.make(state_dir / "homes/5.img", 32, journal=True)
    assert not loop_files.block_writes(state_dir / "homes/5.img", state_dir / "homes/5")
    device, handle = loop_files.attach(state_dir / "homes/5.img")
    try:
        assert loop_files.device_of(state_dir / "homes/5.img") == device
        assert not loop_files.block_writes(state_dir / "homes/5.img", state_dir / "homes/5")
    finally:
        os.close(handle)
    (state_dir / "alive").touch()


async def test_preallocated_roots_and_homes_have_all_their_blocks_and_keep_them(
    ready: ImageSettings, rootfs: OverlayRootfs
) -> None:
    sparse = OverlayRootfs(replace(ready, size_limits=SizeLimits.LOOP))
    made = await sparse.mount(ORDER, ONE, IDS)
    await write_letter(made, IDS)
    await sparse.unmount(VM, USER, ONE)
    home, root = ready.state_dir / "homes/5.img", ready.state_dir / "vms/7/2/disk.img"
    assert allocated_mib(home) < 16
    filled = OverlayRootfs(replace(ready, size_limits=SizeLimits.LOOP, disk_preallocate=True))
    made = await filled.mount(ORDER, Generation(2), IDS)
    assert (made.home / "letter").read_text(encoding="ascii") == "dear\n"
    write = f"head -c 16M /dev/zero > {made.home}/big && sync -f {made.home}/big"
    assert (await as_guest(made, IDS, write, guest_id=1000)).startswith("0")
    await as_guest(made, IDS, f"rm {made.home}/big && sync -f {made.home}", guest_id=1000)
    assert (allocated_mib(home), allocated_mib(root)) == (32, 32)
    await filled.unmount(VM, USER, Generation(2))
    assert allocated_mib(home) == 32


async def test_a_home_for_which_there_is_no_room_is_refused_and_stays_as_it_was(
    state_dir: Path,
) -> None:
    disk = state_dir / "disk"
    disk.mkdir()
    mounts.tmpfs(disk, size_kib=64 * 1024, inodes=1024, owner=0, mode=0o711)
    limit = LoopLimit(preallocate=True, floor_mib=16)
    folder = LimitedFolder(disk / "5", disk / "5.img", 1, 64, kept=True)
    with pytest.raises(NodeFull, match="disk_preallocate"):
        await limit.open(folder)
    assert not folder.file.exists()
    assert disk_space.free_room(disk).mib > 40


async def test_a_desktop_that_does_not_fit_beside_what_is_promised_is_refused(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    free = disk_space.free_mib(ready.state_dir) - ready.free_floor_mib
    large = replace(FLAVOUR, disk_mib=free * 3 // 5, home_mib=32)
    first, second = (desktop_order(vm, user_id=vm, flavour=large) for vm in (7, 8))
    await rootfs.require_room(second, list)
    with pytest.raises(NodeFull, match=r"promised to others.*image\.disk_overcommit"):
        await rootfs.require_room(second, lambda: [first])
    trusting = OverlayRootfs(replace(ready, disk_overcommit=2.0))
    await trusting.require_room(second, lambda: [first])
