"""What the ledger finds in state folders."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.host import loop_files, mounts
from qvdnode.image.disk_ledger import DiskLedger
from qvdnode.image.disk_sizes import DiskSizes, GuestFiles
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.image.settings import ImageSettings, SizeLimits
from qvdnode.model.errors import HostFailed
from qvdnode.model.ids import Generation, UserId, VmId
from tests.fakes.orders import desktop_order

pytestmark = pytest.mark.mounts


@pytest.fixture
def by_files(settings: ImageSettings) -> ImageSettings:
    return replace(settings, size_limits=SizeLimits.LOOP)


@pytest.fixture
def apart(state_dir: Path) -> Iterator[Path]:
    """Homes on a file system of their own."""
    mounts.tmpfs(state_dir / "homes", size_kib=64 * 1024, inodes=1024, owner=0, mode=0o711)
    yield state_dir / "homes"
    mounts.unmount(state_dir / "homes")


async def test_kept_homes_and_the_roots_of_guests_are_found(by_files: ImageSettings) -> None:
    state, ledger = by_files.state_dir, DiskLedger(by_files)
    (state / "vms/7/3").mkdir(parents=True)
    (state / "vms/7/3/disk.img").write_bytes(bytes(8 << 20))
    await loop_files.make(state / "homes/5.img", 64, journal=True)
    (state / "homes/6").mkdir()
    (state / "homes/7.img.new").touch()
    (state / "vms/7/note").write_text("of an administrator's, who cleans up tomorrow")
    look = ledger.measure()
    assert (look.kept, look.by_quota, look.roots) == ({5: 64, 6: 0}, False, look.homes)
    assert 8 <= look.roots.used.mib < 24
    assert look.roots.used.inodes == 2


def test_a_home_that_goes_during_the_look_hides_no_other(by_files: ImageSettings) -> None:
    homes = by_files.state_dir / "homes"
    homes.mkdir(exist_ok=True)
    for user in range(1, 20, 2):
        (homes / f"{user}.img").write_bytes(bytes(1 << 20))
        (homes / f"{user + 1}.img").symlink_to("gone")  # listed, and not there when it is asked for
    assert DiskLedger(by_files).measure().kept == dict.fromkeys(range(1, 20, 2), 1)


async def test_homes_on_a_file_system_of_their_own_are_counted_there(
    by_files: ImageSettings, apart: Path
) -> None:
    (apart / "5.img").write_bytes(bytes(8 << 20))
    ledger = DiskLedger(by_files)
    assert ledger.show([]) == []
    look = ledger.measure()
    assert [store.folder for store in look.stores] == [str(by_files.state_dir / "vms"), str(apart)]
    assert (look.roots.used.mib, look.homes.used.mib, look.homes.free_mib) == (0, 8, 56)
    told = ledger.show([desktop_order(5, user_id=5)])
    assert [(store.capacity_mib, store.promised_mib) for store in told[1:]] == [(0, 2048)]


async def test_a_sweep_leaves_the_file_system_of_homes_mounted(
    by_files: ImageSettings, apart: Path
) -> None:
    rootfs = OverlayRootfs(by_files)
    assert await rootfs.sweep([]) == []
    assert mounts.is_mounted(apart)
    rootfs.close()


async def test_what_guests_files_take_is_measured_in_the_file_system_they_are_in(
    by_files: ImageSettings, apart: Path
) -> None:
    state, sizes = by_files.state_dir, DiskSizes(by_files, DiskLedger(by_files))
    (state / "vms/7/1").mkdir(parents=True)
    (state / "vms/7/1/disk.img").write_bytes(bytes(8 << 20))
    (apart / "5.img").write_bytes(bytes(4 << 20))
    seven, eight = (GuestFiles(VmId(vm), UserId(5), Generation(1)) for vm in (7, 8))
    roots, homes = sizes.measure([seven, eight])
    assert (roots.folder, homes.folder) == (state, apart)
    assert (roots.taken_mib, homes.taken_mib) == ({seven: 8, eight: 0}, {seven: 4, eight: 4})
    assert homes.free_mib < 17  # as many inodes as there are
    mounts.unmount(apart)
    (together,) = sizes.measure([seven])
    assert together.taken_mib == {seven: 8}


def test_a_state_folder_that_is_not_there_is_told(by_files: ImageSettings) -> None:
    missing = replace(by_files, state_dir=by_files.state_dir / "missing")
    with pytest.raises(HostFailed, match="missing cannot be measured"):
        DiskLedger(missing).measure()
    with pytest.raises(HostFailed, match="missing cannot be measured"):
        DiskLedger(missing).reserved_mib([])
    with pytest.raises(HostFailed, match="missing cannot be measured"):
        DiskSizes(missing, DiskLedger(missing)).measure([])
