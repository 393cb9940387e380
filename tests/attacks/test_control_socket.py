"""Another user of the host takes the names of LXC's control sockets before LXC does."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from qvdnode.host.cgroups import probe
from qvdnode.model.errors import GuestFailed, HostFailed
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.drivers import lxc_control
from qvdnode.vm.drivers.lxc import LxcDriver, LxcSettings
from qvdnode.vm.drivers.lxc_control import LxcControl
from tests.fixtures_guest import RealGuests
from tests.harness.stranger import UID

pytestmark = pytest.mark.lxc

QUICKLY_S = 5.0
"""LXC would wait for 30 s."""
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


@contextlib.asynccontextmanager
async def squatter(names: Sequence[str], how: str = "listen") -> AsyncIterator[None]:
    """A process of somebody else's that has these names until the end of the scope."""
    child = await asyncio.create_subprocess_exec(
        "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups",
        sys.executable, "-I", "-S", "-c", SQUATTER, how, *names,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    try:
        assert await child.stdout.readline() == b"ready\n"
        yield
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


@pytest.mark.parametrize("how", ["listen", "bind"])
async def test_what_can_be_foretold_or_was_seen_once_does_not_stop_a_start(
    real_guests: RealGuests, how: str
) -> None:
    spec = await real_guests.spec()
    await real_guests.driver.launch(spec)
    seen = names_of(real_guests)
    assert seen
    await real_guests.driver.kill(spec)
    path = f"{real_guests.folder}/lxc"
    foretold = [f"{path}/{spec.name}/{kind}" for kind in ("command", "monitor-sock")]
    async with squatter(sorted({*seen, *foretold}), how):
        began = time.monotonic()
        await real_guests.driver.launch(spec)
        assert time.monotonic() - began < QUICKLY_S
        assert await real_guests.inside(spec, "id -u") == "0"


@pytest.mark.parametrize("how", ["listen", "bind"])
async def test_a_name_that_was_taken_in_time_is_given_up_for_another(
    real_guests: RealGuests, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one who reads the command line of lxc-start faster than LXC does."""
    spec = await real_guests.spec()
    drawn = iter(["first", "second"])
    monkeypatch.setattr("secrets.token_hex", lambda size: next(drawn))
    async with squatter([f"{real_guests.folder}/lxc/first/{spec.name}/command"], how):
        began = time.monotonic()
        await real_guests.driver.launch(spec)
        assert time.monotonic() - began < QUICKLY_S
        assert await real_guests.inside(spec, "id -u") == "0"


async def test_one_who_is_always_faster_is_told_of(
    real_guests: RealGuests, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = await real_guests.spec()
    monkeypatch.setattr("secrets.token_hex", lambda size: "known")
    async with squatter([f"{real_guests.folder}/lxc/known/{spec.name}/command"]):
        with pytest.raises(GuestFailed, match="another user of the host"):
            await real_guests.driver.launch(spec)
    assert await real_guests.driver.find(spec) is None


async def test_a_launch_that_is_slow_to_end_is_given_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def launch() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            await looked_again.wait()
        return 0

    def stranger(_control: LxcControl, _name: str) -> str:
        loop.call_later(5 * lxc_control.LOOK_S, looked_again.set)
        return "somebody"

    loop, looked_again, faults = asyncio.get_running_loop(), asyncio.Event(), list[object]()
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    monkeypatch.setattr(lxc_control, "LOOK_S", 0.02)
    monkeypatch.setattr(LxcControl, "stranger", stranger)
    assert await LxcControl(tmp_path).unless_taken("guest", launch()) is None
    assert faults == []


async def test_nobody_else_is_believed_about_a_guest(real_guests: RealGuests) -> None:
    """Its monitor is gone, by whatever accident, and somebody answers in its place."""
    spec = await real_guests.spec()
    control = LxcControl(real_guests.folder / "lxc")
    await real_guests.driver.launch(spec)
    (real_guests.folder / "lxc" / f"{spec.name}.control").write_text("/elsewhere")
    async with squatter([f"{control.path(spec.name)}/{spec.name}/command"]):
        with pytest.raises(HostFailed, match=f"user {UID}"):
            await real_guests.driver.run_session(spec, "status", limit_s=QUICKLY_S)


async def test_another_process_of_the_node_finds_the_socket_again(real_guests: RealGuests) -> None:
    spec = await real_guests.spec()
    await real_guests.driver.launch(spec)
    settings = LxcSettings(real_guests.folder / "lxc", real_guests.prefix, real_guests.bridge)
    later = LxcDriver(settings, SystemClock())
    assert await later.run_session(spec, "dance", limit_s=QUICKLY_S) == 2
    assert list(await later.sweep([])) == [spec.name]


async def test_a_guest_of_an_earlier_release_is_entered_by_its_old_name(
    real_guests: RealGuests, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = await real_guests.spec()
    monkeypatch.setattr(LxcControl, "draw", LxcControl.forget)
    await real_guests.driver.launch(spec)
    assert f"{real_guests.folder}/lxc/{spec.name}/command" in names_of(real_guests)
    assert await real_guests.driver.run_session(spec, "dance", limit_s=QUICKLY_S) == 2


async def test_nothing_of_the_name_is_left(real_guests: RealGuests) -> None:
    spec = await real_guests.spec()
    await real_guests.driver.launch(spec)
    path = LxcControl(real_guests.folder / "lxc").path(spec.name)
    locks = lxc_control.LOCKS / path.lstrip("/")
    await real_guests.driver.kill(spec)
    assert not locks.exists()
    assert not list((real_guests.folder / "lxc").glob(f"{spec.name}*"))


async def test_a_path_that_is_too_long_for_a_name_is_known_as_well(
    real_guests: RealGuests,
) -> None:
    folder = real_guests.folder / ("x" * 100)
    driver = LxcDriver(LxcSettings(folder, real_guests.prefix, real_guests.bridge), SystemClock())
    spec = await real_guests.spec()
    await driver.launch(spec)
    assert await driver.run_session(spec, "dance", limit_s=QUICKLY_S) == 2
    with socket.socket(socket.AF_UNIX) as dialled:
        dialled.connect(LxcControl(folder)._address(spec.name))
    await driver.kill(spec)


async def test_a_host_user_who_fills_the_queue_keeps_nobody_from_entering(
    real_guests: RealGuests,
) -> None:
    """Its monitor takes connections one at a time, and anybody may make them."""
    spec = await real_guests.spec()
    await real_guests.driver.launch(spec)
    control = LxcControl(real_guests.folder / "lxc")
    monitors = probe().processes(f"{real_guests.prefix}guests/monitor-{spec.name}")
    assert monitors
    for pid in monitors:
        os.kill(pid, signal.SIGSTOP)  # so that the queue stays full for as long as it is looked at
    callers = [socket.socket(socket.AF_UNIX) for _ in range(5000)]
    try:
        with contextlib.suppress(BlockingIOError):
            for caller in callers:
                caller.setblocking(False)
                caller.connect(control._address(spec.name))
            pytest.fail("the queue took all of them")
        control.require_own(spec.name)
    finally:
        for caller in callers:
            caller.close()
        for pid in monitors:
            os.kill(pid, signal.SIGCONT)
    assert await real_guests.driver.run_session(spec, "dance", limit_s=QUICKLY_S) == 2
