"""A container that cannot be started: why, in words that somebody can act on."""

from dataclasses import replace

import pytest

from qvdnode.host import mounts
from qvdnode.model.errors import GuestFailed, HostFailed
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.drivers.lxc import ATTACH_CONFIG, SECCOMP_PROFILE, LxcDriver, LxcSettings
from tests.fixtures_guest import RealGuests

pytestmark = [pytest.mark.lxc, pytest.mark.mounts]


def driver_of(guests: RealGuests, bridge: str) -> LxcDriver:
    return LxcDriver(LxcSettings(guests.folder / "lxc", guests.prefix, bridge), SystemClock())


async def test_a_bridge_that_is_missing_is_named(real_guests: RealGuests) -> None:
    spec = await real_guests.spec()
    driver = driver_of(real_guests, "qvdnone0")
    with pytest.raises(GuestFailed, match="qvdnone0"):
        await driver.launch(spec)
    assert await driver.find(spec) is None
    left = {path.name for path in (real_guests.folder / "lxc").iterdir()}
    assert left == {SECCOMP_PROFILE, ATTACH_CONFIG}


async def test_a_full_disk_is_told(real_guests: RealGuests) -> None:
    spec = await real_guests.spec()
    folder = real_guests.folder / "lxc"
    mounts.tmpfs(folder, size_kib=4, inodes=1, owner=0, mode=0o700)
    try:
        with pytest.raises(HostFailed, match="No space left"):
            await real_guests.driver.launch(spec)
        assert list(folder.iterdir()) == []
    finally:
        mounts.unmount(folder)


async def test_a_network_that_is_taken_is_told(real_guests: RealGuests) -> None:
    first, second = await real_guests.spec(1), await real_guests.spec(2)
    await real_guests.driver.launch(first)
    twin = replace(second, port=replace(second.port, link=first.port.link))
    with pytest.raises(GuestFailed, match=first.port.link):
        await real_guests.driver.launch(twin)
