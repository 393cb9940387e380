"""Another user of the host reaches for the sockets at which LXC's monitors listen."""

import asyncio
import contextlib
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from qvdnode.host.cgroups import probe
from qvdnode.host.lxc_locks import LOCKS
from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import GuestSpec
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.drivers.lxc import LxcDriver, LxcSettings
from qvdnode.vm.drivers.lxc_control import network_of_monitor
from tests.fixtures_guest import RealGuests
from tests.harness.stranger import UID
from tests.waiting import until

pytestmark = pytest.mark.lxc

QUICKLY_S = 5.0
"""LXC would wait for 30 s."""
UNKNOWN_VERB = 2
"""What the session script says to that, once it has been reached."""
MONITORS_DESCRIPTORS = 256
"""So that a test need not open as many connections as on a real host."""
SQUATTER = """
import socket, sys
held = []
for name in sys.argv[2:]:
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].bind(b"\\0" + name.encode())
    if sys.argv[1] == "listen":
        held[-1].listen()
print("ready", flush=True)
sys.stdin.read()
"""
FLOOD = """
import signal, socket, sys
signal.alarm(60)
held, reached = [], 0
for name in sys.argv[2:]:
    for _ in range(int(sys.argv[1])):
        held.append(socket.socket(socket.AF_UNIX))
        try:
            held[-1].connect(b"\\0" + name.encode())
        except OSError:
            break
        reached += 1
print(reached, flush=True)
sys.stdin.read()
"""


@contextlib.asynccontextmanager
async def stranger(program: str, *words: str) -> AsyncIterator[str]:
    """A program of somebody else's that runs until the end of the scope; its first line."""
    child = await asyncio.create_subprocess_exec(
        "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups",
        sys.executable, "-I", "-S", "-c", program, *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    try:
        line = await child.stdout.readline()
        assert line
        yield line.decode().strip()
    finally:
        child.kill()
        await child.wait()


def names_of(guests: RealGuests) -> list[str]:
    """The names in use now, as everybody on the host sees them."""
    lines = Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()
    return [
        name[1:]
        for line in lines
        if (name := line.split()[-1]).startswith("@") and guests.prefix in name
    ]


def foretold(guests: RealGuests, spec: GuestSpec) -> list[str]:
    """The names that LXC gives its sockets for such a guest."""
    path = f"{guests.folder}/lxc/{spec.name}"
    return [f"{path}/{kind}" for kind in ("command", "monitor-sock")]


def monitor_of(guests: RealGuests, spec: GuestSpec) -> int:
    """The pid of the guest's monitor."""
    return min(probe().processes(f"{guests.prefix}guests/monitor-{spec.name}"))


def later_driver(guests: RealGuests, folder: Path | None = None) -> LxcDriver:
    """The driver of another process of the node."""
    settings = LxcSettings(folder or guests.folder / "lxc", guests.prefix, guests.bridge)
    return LxcDriver(settings, SystemClock())


def link_is_there(spec: GuestSpec) -> bool:
    """Whether the host's end of the guest's link is."""
    return Path(f"/sys/class/net/{spec.port.link}").exists()


def names_to_dial(guests: RealGuests, spec: GuestSpec) -> Sequence[str]:
    """All that a host user can see or guess."""
    return sorted({*names_of(guests), *foretold(guests, spec)})


async def test_a_host_user_who_opens_connections_without_end_ends_no_desktop(
    real_guests: RealGuests,
) -> None:
    spec = await real_guests.spec()
    guest = await real_guests.driver.launch(spec)
    most = (MONITORS_DESCRIPTORS, MONITORS_DESCRIPTORS)
    resource.prlimit(monitor_of(real_guests, spec), resource.RLIMIT_NOFILE, most)
    attempts = str(3 * MONITORS_DESCRIPTORS)
    async with stranger(FLOOD, attempts, *names_to_dial(real_guests, spec)) as reached:
        code = await real_guests.driver.run_session(spec, "dance", limit_s=QUICKLY_S)
        assert code == UNKNOWN_VERB
        assert await real_guests.driver.find(spec) == guest
        assert reached == "0"


@pytest.mark.parametrize("how", ["listen", "bind"])
async def test_a_name_that_is_taken_does_not_stop_a_start(
    real_guests: RealGuests, how: str
) -> None:
    spec = await real_guests.spec()
    async with stranger(SQUATTER, how, *foretold(real_guests, spec)):
        began = time.monotonic()
        await real_guests.driver.launch(spec)
        assert time.monotonic() - began < QUICKLY_S
        assert await real_guests.inside(spec, "id -u") == "0"


async def test_no_name_of_a_guest_is_seen_on_the_host(real_guests: RealGuests) -> None:
    spec = await real_guests.spec()
    await real_guests.driver.launch(spec)
    assert names_of(real_guests) == []


async def test_nobody_else_is_believed_about_a_guest(real_guests: RealGuests) -> None:
    """Its monitor is gone, by whatever accident, and somebody answers in its place."""
    spec = await real_guests.spec()
    await real_guests.driver.launch(spec)
    monitor = monitor_of(real_guests, spec)
    os.kill(monitor, 9)
    await until(lambda: not probe().processes(f"{real_guests.prefix}guests/monitor-{spec.name}"))
    async with stranger(SQUATTER, "listen", *foretold(real_guests, spec)):
        with pytest.raises(HostFailed, match=f"monitor of {spec.name} is gone"):
            await real_guests.driver.run_session(spec, "status", limit_s=QUICKLY_S)


def test_a_monitor_that_listens_where_everybody_may_is_not_asked() -> None:
    with pytest.raises(HostFailed, match="started by an earlier release"):
        network_of_monitor("guest", lambda: {os.getpid()})


def test_a_process_that_has_the_pid_of_a_monitor_meanwhile_is_not_asked() -> None:
    looks = iter([{os.getpid()}, set[int]()])
    with pytest.raises(HostFailed, match="monitor of guest is gone"):
        network_of_monitor("guest", lambda: next(looks))


async def test_another_process_of_the_node_finds_the_socket_again(real_guests: RealGuests) -> None:
    """In the namespace of the one before, although it has made another for its own guests."""
    spec, second = await real_guests.spec(1), await real_guests.spec(2)
    await real_guests.driver.launch(spec)
    later = later_driver(real_guests)
    await later.launch(second)
    for each in (spec, second):
        assert await later.run_session(each, "dance", limit_s=QUICKLY_S) == UNKNOWN_VERB
    assert list(await later.sweep([])) == [spec.name, second.name]
    await until(lambda: not link_is_there(spec) and not link_is_there(second))


@pytest.mark.parametrize("who", ["guest", "monitor"])
async def test_nothing_is_left_of_a_guest_that_ended_by_itself(
    real_guests: RealGuests, who: str
) -> None:
    spec = await real_guests.spec()
    guest = await real_guests.driver.launch(spec)
    monitor = monitor_of(real_guests, spec)
    os.kill(guest.pid if who == "guest" else monitor, 9)
    await until(lambda: not Path(f"/proc/{monitor}").exists())
    await real_guests.driver.kill(spec)
    assert not link_is_there(spec)
    assert not list((real_guests.folder / "lxc").glob(f"{spec.name}*"))
    await real_guests.driver.launch(spec)
    assert await real_guests.inside(spec, "id -u") == "0"


async def test_a_node_that_keeps_no_guest_leaves_no_lock_of_lxc(real_guests: RealGuests) -> None:
    spec = await real_guests.spec()
    await real_guests.driver.launch(spec)
    lock = LOCKS / str(real_guests.folder / "lxc").lstrip("/")
    assert lock.exists(), "LXC makes none any more; remove_locks is of no use"
    await real_guests.driver.sweep([spec.name])
    assert lock.exists()
    await real_guests.driver.sweep([])
    assert not lock.parent.exists()


async def test_a_path_that_is_too_long_for_a_name_does_as_well(real_guests: RealGuests) -> None:
    """LXC puts a hash in its place."""
    driver = later_driver(real_guests, real_guests.folder / ("x" * 100))
    spec = await real_guests.spec()
    await driver.launch(spec)
    assert await driver.run_session(spec, "dance", limit_s=QUICKLY_S) == UNKNOWN_VERB
    await driver.kill(spec)
    await driver.sweep([])
