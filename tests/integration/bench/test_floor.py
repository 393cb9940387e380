"""The bare desktop that benches measure a node against: it is shown, and leaves nothing."""

import re
import subprocess
from pathlib import Path

import pytest

from bench.bare_host import BareHost
from bench.floor import BareDesktop, floor
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.runtime.clock import SystemClock
from tests.harness.screen import xvfb

pytestmark = [pytest.mark.lxc, pytest.mark.mounts]

WINDOW_LIMIT_S = 30.0


def traces(host: BareHost) -> list[str]:
    """All on the running system that bears its names."""
    mounted = Path("/proc/self/mountinfo").read_text()
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    loops = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True)
    return [
        *re.findall(f"{host.folder}\\S*", mounted + loops.stdout),
        *re.findall(f"qvdnode_{host.prefix}$", tables.stdout, re.MULTILINE),
        *(path.name for path in Path("/sys/class/net").glob(f"{host.prefix}q*")),
        *map(str, Path("/sys/fs/cgroup").glob(f"**/{host.prefix}guests*")),
        *([str(host.folder)] if host.folder.exists() else []),
    ]


async def shown(desktop: BareDesktop, watcher: WindowWatcher) -> None:
    await desktop.show()
    await watcher.wait_new(WINDOW_LIMIT_S)
    await desktop.connected()


async def test_it_is_shown_started_and_resumed(icewm_root: Path) -> None:
    async with (
        xvfb() as display,
        WindowWatcher(display, SystemClock()) as watcher,
        floor(icewm_root, display, 1) as (desktop,),
    ):
        await desktop.start()
        await shown(desktop, watcher)
        for _ in range(2):
            await desktop.suspend()
            assert await watcher.count() == 0
            await desktop.resume()
            await shown(desktop, watcher)
        assert traces(desktop.host)
        await desktop.stop()
        assert not desktop.is_running
        await desktop.start()
    assert traces(desktop.host) == []


async def fail_with_a_desktop(icewm_root: Path, display: str, hosts: list[BareHost]) -> None:
    async with floor(icewm_root, display, 2) as (desktop, _):
        hosts.append(desktop.host)
        await desktop.start()
        assert traces(desktop.host)
        raise ZeroDivisionError


async def test_a_bench_that_fails_leaves_nothing(icewm_root: Path) -> None:
    hosts: list[BareHost] = []
    async with xvfb() as display:
        with pytest.raises(ZeroDivisionError):
            await fail_with_a_desktop(icewm_root, display, hosts)
    assert traces(hosts[0]) == []
