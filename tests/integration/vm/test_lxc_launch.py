"""A container that cannot be started: why, in words that somebody can act on."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qvdnode.host import links, mounts, pidfd
from qvdnode.model.errors import GuestFailed, HostFailed
from qvdnode.model.guest import GuestProcess
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.core.lxc_config import NESTING_SUFFIX
from qvdnode.vm.drivers import group_guests
from qvdnode.vm.drivers.lxc import ATTACH_CONFIG, SECCOMP_PROFILE, LxcDriver, LxcSettings
from tests.fixtures_guest import RealGuests
from tests.waiting import until

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
    assert left == {SECCOMP_PROFILE, f"{SECCOMP_PROFILE}{NESTING_SUFFIX}", ATTACH_CONFIG}


async def test_a_full_disk_is_told(real_guests: RealGuests) -> None:
    spec = await real_guests.spec()
    folder = real_guests.folder / "lxc"
    folder.mkdir(exist_ok=True)
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


async def test_a_launch_that_is_cancelled_while_its_link_is_made_leaves_none(
    real_guests: RealGuests, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = await real_guests.spec()
    really_plug = links.create_veth

    async def plug(*words: Any) -> None:
        work.cancel()
        await really_plug(*words)

    monkeypatch.setattr(links, "create_veth", plug)
    work = asyncio.create_task(real_guests.driver.launch(spec))
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await real_guests.driver.find(spec) is None
    await until(lambda: not Path(f"/sys/class/net/{spec.port.link}").exists())


def test_a_process_that_has_the_pid_of_a_guest_meanwhile_gets_no_link() -> None:
    ticks = pidfd.start_ticks(os.getpid())
    assert ticks is not None
    with pytest.raises(HostFailed, match="ended at once"):
        group_guests._network_of(GuestProcess(os.getpid(), ticks - 1))
