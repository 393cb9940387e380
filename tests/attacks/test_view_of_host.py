"""What a guest sees of the host and of other guests in /proc and /sys."""

import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.host import loop_files, mounts
from tests.attacks.attacker import LIMIT_S, Attacker
from tests.attacks.conftest import Invade
from tests.fixtures_guest import RealGuests

pytestmark = [pytest.mark.lxc, pytest.mark.mounts]

WALK = r"""
for root in /proc /sys; do
    find $root -xdev -path '/proc/[0-9]*' -prune -o -print 2>/dev/null
    find $root -mindepth 1 -path '/proc/[0-9]*' -prune -o -type f -readable -print 2>/dev/null |
    while read -r file; do timeout 1 head -c 65536 "$file" 2>/dev/null; done
    for file in $(find /proc/self/ -maxdepth 2 -type f -readable); do
        timeout 1 head -c 65536 "$file" 2>/dev/null
    done
done | tr -d '\0'
"""


@pytest.fixture
async def disk(real_guests: RealGuests) -> AsyncIterator[Path]:
    """What holds the home of another guest: a file whose name is its user's, on a loop device."""
    file = real_guests.folder / f"home-of-{secrets.token_hex(4)}.img"
    target = real_guests.folder / "other"
    target.mkdir()
    await loop_files.make(file, 16, journal=True)
    await loop_files.mount(file, target, new=True)
    yield target
    mounts.unmount(target)


def device_of(point: Path) -> str:
    """The name of the loop device that is mounted there."""
    return next(Path(mount.source).name for mount in mounts.listed() if mount.point == point)


async def seen_by(attacker: Attacker, *, root: bool) -> str:
    """All names and contents that a guest finds there."""
    shell = attacker.as_root if root else attacker.as_user
    return await shell(WALK, limit_s=4 * LIMIT_S)


@pytest.mark.timeout(8 * LIMIT_S)
@pytest.mark.parametrize("root", [False, True], ids=["user", "root"])
async def test_no_disk_of_another_guest_is_named(
    invade: Invade, disk: Path, real_guests: RealGuests, root: bool
) -> None:
    first, second = await invade(1), await invade(2)
    device = device_of(disk)
    file = next(real_guests.folder.glob("home-of-*"))
    seen = await seen_by(first, root=root)
    assert "processor" in seen  # the walk saw /proc/cpuinfo
    assert re.search(r"\bloop[0-9]", seen) is None
    for name in (device, file.name, second.spec.name, second.spec.port.link, second.spec.hostname):
        assert name not in seen, name


async def test_the_hosts_disks_and_hardware_are_not_named(attacker: Attacker) -> None:
    cat = "cat /proc/diskstats /proc/partitions /proc/swaps /proc/cmdline"
    assert await attacker.as_root(cat) == ""
    assert await attacker.as_root("ls /proc/fs /proc/bus") == "/proc/bus:\n\n/proc/fs:"
    assert await attacker.as_root("find /sys -mindepth 1 -maxdepth 1 | sort") == (
        "/sys/dev\n/sys/devices"
    )


@pytest.mark.parametrize("kind", ["sysfs", "proc"])
async def test_no_fresh_view_is_mounted_in_namespaces_of_ones_own(
    attacker: Attacker, kind: str
) -> None:
    tried = f"unshare -Urnmpf sh -c 'mount -t {kind} {kind} /mnt && echo mounted'"
    assert "mounted" not in (await attacker.as_user(tried)).split()
    uncovered = "unshare -Urnm sh -c 'umount /sys /proc/fs /proc/diskstats; cat /proc/diskstats'"
    assert "loop" not in await attacker.as_user(uncovered)


async def test_what_programs_count_on_is_there(attacker: Attacker) -> None:
    assert await attacker.as_user("nproc") == str(os.cpu_count())
    assert await attacker.as_user("cat /sys/devices/system/cpu/online") != ""
    assert await attacker.as_user("lsblk") == ""
    assert "/home/alice" in await attacker.as_user("df")
    assert "eth0:" in await attacker.as_user("cat /proc/net/dev")
