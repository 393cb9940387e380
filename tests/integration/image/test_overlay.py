"""Roots and homes of guests, mounted for real, looked at with the guests' ids."""

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.host import idmap, loop_files, mounts, process, project_quota
from qvdnode.image.importer import Importer
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.image.settings import ImageSettings, SizeLimits
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import BadImage, Conflict, HostFailed, NodeFull
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestRoot, IdRange
from qvdnode.model.ids import Generation, ImageId, UserId, VmId
from tests.fakes.orders import desktop_order
from tests.integration.image.bare_guest import IDS
from tests.integration.image.conftest import ORDER, SMALL
from tests.waiting import until

pytestmark = pytest.mark.mounts

ONE = Generation(1)
VM, USER = VmId(7), UserId(5)
OTHER_IDS = IdRange(IDS.start + 65_536)


def left(settings: ImageSettings) -> list[str]:
    """What of a guest is still there: folders, mounts, loop devices."""
    state = settings.state_dir
    folders = [str(path) for path in (state / "vms").iterdir()]
    points = [str(path) for path in mounts.under(state)]
    files = [path for path in state.rglob("*.img") if loop_files.in_use(path)]
    return [*folders, *points, *(str(path) for path in files)]


async def nothing_left(settings: ImageSettings) -> None:
    """Nothing at all is there any more.

    Loop devices may be held a moment longer: whoever starts a container on this host copies the
    table of mounts and drops the copy again.
    """
    await until(lambda: left(settings) == [], limit_s=30, what=f"{left(settings)} to go")


async def as_guest(made: GuestRoot, ids: IdRange, script: str, *, guest_id: int = 0) -> str:
    """Run a script with the guest's ids, in its root, as a process of the host.

    The group lets it pass the folders above, where a real guest's user has no need to pass.
    """
    host_id = ids.start + guest_id
    argv = ["setpriv", f"--reuid={host_id}", f"--regid={host_id}", f"--groups={ids.start}"]
    done = await process.run([*argv, "sh", "-c", f"cd {made.root} && {script}"], check=False)
    return f"{done.returncode} {(done.stdout + done.stderr).decode().strip()}"


async def write_letter(made: GuestRoot, ids: IdRange) -> None:
    """A file in the home, by its owner."""
    assert await as_guest(made, ids, f"echo dear > {made.home}/letter", guest_id=1000) == "0 "


async def test_a_guest_owns_its_root_and_the_image_stays_as_it_was(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    told = await as_guest(made, IDS, "echo mine > var/lib/word && cat var/lib/word && id -u")
    assert told == f"0 mine\n{IDS.start}"
    with ImageVersions(ready).view(ORDER.flavour.image_id, ORDER.image_version) as image:
        assert image is not None
        assert (image / "var/lib/word").read_text(encoding="ascii") == "from the image"
    assert (made.root / "etc/shadow").stat().st_gid == IDS.start + 42
    assert (made.root / "home/alice").is_dir()
    assert (made.root / "run/qvd").stat().st_uid == IDS.start
    await rootfs.unmount(VM, USER, ONE)
    await nothing_left(ready)


async def test_a_root_is_fresh_at_each_start_and_a_home_is_kept(rootfs: OverlayRootfs) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    await as_guest(made, IDS, "touch etc/mark")
    await write_letter(made, IDS)
    await rootfs.unmount(VM, USER, ONE)
    again = await rootfs.mount(ORDER, Generation(2), OTHER_IDS)
    assert not (again.root / "etc/mark").exists()
    assert (again.home / "letter").read_text(encoding="ascii") == "dear\n"
    assert again.home.stat().st_uid == OTHER_IDS.start + 1000
    assert again.home.stat().st_mode & 0o777 == 0o700
    await rootfs.unmount(VM, USER, Generation(2))


async def test_two_desktops_of_a_user_share_one_home_each_under_its_own_ids(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    second = desktop_order(8, flavour=SMALL)
    one, two = await asyncio.gather(
        rootfs.mount(ORDER, ONE, IDS), rootfs.mount(second, ONE, OTHER_IDS)
    )
    await write_letter(one, IDS)
    assert (two.home / "letter").stat().st_uid == OTHER_IDS.start + 1000
    await rootfs.unmount(VM, USER, ONE)
    assert (two.home / "letter").read_text(encoding="ascii") == "dear\n"
    await rootfs.unmount(VmId(8), USER, ONE)
    await nothing_left(ready)


async def test_others_on_the_host_pass_neither_root_nor_home(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    argv = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "ls"]
    for folder in (made.root, made.home, ready.state_dir / "homes" / "5" / "home"):
        done = await process.run([*argv, folder], check=False)
        assert done.returncode != 0
    assert (await as_guest(made, OTHER_IDS, "ls")).startswith("2 ")
    await rootfs.unmount(VM, USER, ONE)


async def test_a_guest_meets_the_limits_of_its_flavour(rootfs: OverlayRootfs) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    for place, guest_id in (("var/lib/big", 0), (f"{made.home}/big", 1000)):
        script = f"head -c 64M /dev/zero | tr '\\0' x > {place}"
        told = await as_guest(made, IDS, script, guest_id=guest_id)
        assert "No space left" in told or "quota exceeded" in told
    await rootfs.unmount(VM, USER, ONE)


async def test_a_home_grows_with_its_flavour(rootfs: OverlayRootfs) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    await write_letter(made, IDS)
    await rootfs.unmount(VM, USER, ONE)
    larger = desktop_order(7, flavour=replace(SMALL, home_mib=96))
    again = await rootfs.mount(larger, Generation(2), IDS)
    facts = os.statvfs(again.home)
    assert facts.f_blocks * facts.f_frsize > 64 << 20
    assert (again.home / "letter").read_text(encoding="ascii") == "dear\n"
    await rootfs.unmount(VM, USER, Generation(2))


async def test_set_user_id_programs_of_a_home_have_no_effect(rootfs: OverlayRootfs) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    flags = os.statvfs(made.home).f_flag
    assert flags & os.ST_NOSUID
    assert flags & os.ST_NODEV
    assert os.statvfs(made.root).f_flag & os.ST_NODEV
    await rootfs.unmount(VM, USER, ONE)


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (replace(ORDER, image_version=99), BadImage),
        (desktop_order(7, flavour=replace(SMALL, disk_mib=0)), HostFailed),
        (desktop_order(7, flavour=replace(SMALL, home_mib=0)), HostFailed),
    ],
)
async def test_a_mount_that_fails_leaves_nothing(
    rootfs: OverlayRootfs, ready: ImageSettings, order: DesktopOrder, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await rootfs.mount(order, ONE, IDS)
    await nothing_left(ready)


async def test_an_image_whose_folders_lead_away_is_refused(
    rootfs: OverlayRootfs, ready: ImageSettings, tmp_path: Path
) -> None:
    """As a plain folder, which may be changed behind our back."""
    image = ready.state_dir / "images" / "2" / "5" / "rootfs"
    image.mkdir(parents=True)
    (image / "home").symlink_to(tmp_path)
    with pytest.raises(BadImage, match="/home/alice"):
        await rootfs.mount(replace(ORDER, image_version=5), ONE, IDS)
    assert list(tmp_path.iterdir()) == []
    await nothing_left(ready)


async def test_a_mount_that_is_cancelled_leaves_nothing(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    for turns in range(0, 40, 4):
        task = asyncio.create_task(rootfs.mount(ORDER, ONE, IDS))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await nothing_left(ready)


async def test_room_is_what_the_disk_has_just_now(state_dir: Path) -> None:
    disk = state_dir / "disk"
    disk.mkdir()
    mounts.tmpfs(disk, size_kib=32 * 1024, inodes=64 * 64, owner=0, mode=0o711)
    rootfs = OverlayRootfs(ImageSettings(state_dir=disk, free_floor_mib=16, disk_overcommit=16.0))
    await rootfs.require_room(ORDER, list)
    filling = disk / "filling"
    filling.write_bytes(bytes(20 << 20))
    with pytest.raises(NodeFull, match=r"disk is nearly full, 1\d MiB are free"):
        await rootfs.require_room(ORDER, list)
    filling.unlink()
    await rootfs.require_room(ORDER, list)


async def test_below_the_floor_nothing_starts(ready: ImageSettings) -> None:
    full = OverlayRootfs(replace(ready, free_floor_mib=1 << 40))
    with pytest.raises(NodeFull, match="nearly full"):
        await full.mount(ORDER, ONE, IDS)
    await nothing_left(ready)


async def test_a_parent_that_guests_cannot_pass_is_named_and_left_alone(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    ready.state_dir.chmod(0o700)
    with pytest.raises(HostFailed, match="chmod o\\+x"):
        await rootfs.mount(ORDER, ONE, IDS)
    assert ready.state_dir.stat().st_mode & 0o777 == 0o700
    ready.state_dir.chmod(0o711)


async def test_unmounting_twice_or_what_never_was_is_fine(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    await rootfs.unmount(VM, USER, ONE)
    await rootfs.mount(ORDER, ONE, IDS)
    await rootfs.unmount(VM, USER, ONE)
    await rootfs.unmount(VM, USER, ONE)
    await nothing_left(ready)


async def test_a_root_that_is_in_use_goes_away_with_its_last_user(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    handle = os.open(made.root / "etc/passwd", os.O_RDONLY)
    await rootfs.unmount(VM, USER, ONE)
    assert mounts.under(ready.state_dir) == []
    os.close(handle)
    await nothing_left(ready)


async def test_however_deep_a_guest_nested_its_folders_they_go(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    """As where project quota limits it, so that its files are on the host's own file system."""
    folder = ready.state_dir / "vms" / "7" / "1" / "disk"
    folder.mkdir(parents=True)
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    await rootfs.unmount(VM, USER, ONE)
    await nothing_left(ready)


async def test_a_home_that_cannot_be_made_is_told(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    (ready.state_dir / "homes" / "5").write_bytes(b"")
    with pytest.raises(HostFailed, match="homes/5 cannot be made"):
        await rootfs.mount(ORDER, ONE, IDS)
    await nothing_left(ready)


async def test_an_image_that_a_guest_runs_on_outlives_its_removal(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    importer, images = Importer(ready), ready.state_dir / "images"
    with pytest.raises(Conflict, match="still runs"):
        await importer.mark_removal(ORDER.flavour.image_id)
    # A start may come between that look and the removal.
    await importer.remove(ORDER.flavour.image_id)
    versions = ImageVersions(ready)
    objects = len(list(versions.store.places.objects.glob("*/*")))
    assert versions.collect(grace_s=0).objects == 0
    assert await as_guest(made, IDS, "cat var/lib/word") == "0 from the image"
    await rootfs.unmount(VM, USER, ONE)
    gone = versions.collect(grace_s=0)
    assert (gone.commits, gone.objects, gone.deleted) == (1, objects, objects)
    assert [path.name for path in images.iterdir()] == ["store"]
    assert list(versions.store.places.objects.glob("*/*")) == []
    assert list(versions.store.places.metadata.iterdir()) == []


async def test_a_plain_folder_that_a_guest_runs_on_outlives_its_removal(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    """As nodes kept images before there was a store."""
    images = ready.state_dir / "images"
    with ImageVersions(ready).view(ORDER.flavour.image_id, ORDER.image_version) as root:
        (images / "9/1").mkdir(parents=True)
        await process.run(["cp", "-a", f"{root}", images / "9/1/rootfs"])
    plain = replace(ORDER, flavour=replace(SMALL, image_id=ImageId(9)), image_version=1)
    made = await rootfs.mount(plain, ONE, IDS)
    later = Importer(ready)
    with pytest.raises(Conflict, match="still runs"):
        await later.mark_removal(ImageId(9))
    await later.remove(ImageId(9))
    assert await later.sweep() == []
    assert await as_guest(made, IDS, "cat var/lib/word") == "0 from the image"
    await rootfs.unmount(VM, USER, ONE)
    assert len(await later.sweep()) == 1
    assert sorted(path.name for path in images.iterdir()) == ["2", "store"]


async def test_a_new_process_adopts_what_is_whole_and_sweeps_the_rest(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    by_files = not project_quota.available(ready.state_dir)
    kept = await rootfs.mount(ORDER, ONE, IDS)
    await rootfs.mount(desktop_order(8, user_id=6, flavour=SMALL), ONE, OTHER_IDS)
    await write_letter(kept, IDS)
    later = OverlayRootfs(ready)
    assert await later.adopt(VM, USER, ONE)
    assert not await later.adopt(VM, USER, Generation(2))
    assert not await later.adopt(VmId(9), USER, ONE)
    swept = {"vms/8/1", "homes/6"} if by_files else {"vms/8/1"}  # else a home is not a mount
    assert set(await later.sweep([(VM, ONE)])) == swept
    assert (kept.home / "letter").exists()
    assert mounts.is_mounted(kept.root)
    await later.unmount(VM, USER, ONE)
    await nothing_left(ready)
    assert (ready.state_dir / "homes" / ("6.img" if by_files else "6")).exists()


async def test_a_stray_that_cannot_be_removed_keeps_no_other_from_it(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    odd, plain = (ready.state_dir / "vms" / name / "1" for name in ("8", "9"))
    (odd / "unknown").mkdir(parents=True)
    (plain / "root").mkdir(parents=True)
    (ready.state_dir / "vms" / "file").touch()
    assert await rootfs.sweep([]) == ["vms/9/1"]
    assert (odd / "unknown").exists()
    assert not plain.exists()
    shutil.rmtree(ready.state_dir / "vms")


async def test_a_home_that_is_still_mounted_somewhere_is_never_mounted_from_its_file_twice(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    await write_letter(made, IDS)
    # A process that still holds the home keeps its file system alive behind our back.
    handle = os.open(made.home / "letter", os.O_RDONLY)
    await rootfs.unmount(VM, USER, ONE)
    again = await rootfs.mount(ORDER, Generation(2), IDS)
    assert (again.home / "letter").stat().st_dev == os.fstat(handle).st_dev
    os.close(handle)
    await rootfs.unmount(VM, USER, Generation(2))
    await nothing_left(ready)


async def test_a_damaged_home_is_mended_or_told(ready: ImageSettings) -> None:
    rootfs = OverlayRootfs(replace(ready, size_limits=SizeLimits.LOOP))
    await rootfs.mount(ORDER, ONE, IDS)
    await rootfs.unmount(VM, USER, ONE)
    (ready.state_dir / "homes" / "5.img").write_bytes(bytes(32 << 20))
    with pytest.raises(HostFailed, match=r"5\.img is damaged"):
        await rootfs.mount(ORDER, Generation(2), IDS)
    await nothing_left(ready)
    rootfs.close()


async def test_project_quota_is_asked_of_the_file_system(ready: ImageSettings) -> None:
    if project_quota.available(ready.state_dir):
        pytest.skip("the file system of the test state has project quota: see the next test")
    wanted = OverlayRootfs(replace(ready, size_limits=SizeLimits.PROJECT))
    with pytest.raises(HostFailed, match="prjquota"):
        await wanted.mount(ORDER, ONE, IDS)
    await nothing_left(ready)


async def test_project_quota_limits_a_guest(ready: ImageSettings) -> None:
    if not project_quota.available(ready.state_dir):
        pytest.skip(f"the file system of {ready.state_dir} has no project quota")
    provider = OverlayRootfs(replace(ready, size_limits=SizeLimits.PROJECT))
    made = await provider.mount(ORDER, ONE, IDS)
    told = await as_guest(made, IDS, "head -c 64M /dev/zero | tr '\\0' x > var/lib/big")
    assert "quota exceeded" in told or "No space left" in told
    await provider.unmount(VM, USER, ONE)
    await nothing_left(ready)


async def test_a_kernel_that_refuses_a_namespace_within_another_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idmap, "INNER", idmap.INNER.replace("unshare --user", "false"))
    monkeypatch.setattr(idmap, "MADE_LIMIT_S", 300.0)
    with pytest.raises(HostFailed, match="lets nobody make user namespaces"):
        await idmap.guest_namespace(IDS.start, IDS.count)
