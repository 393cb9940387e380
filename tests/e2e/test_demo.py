"""`qvdnode demo` as a new user runs it: from nothing, again, killed; nothing is left each time."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.cli.demo.traces import left_by
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.runtime.clock import SystemClock
from tests.harness.host_traces import alive, family, forwarding_is_held, forwards, traces
from tests.harness.node import HARSH_UMASK
from tests.harness.node import test_root as state_root
from tests.harness.screen import xvfb
from tests.waiting import until

SECOND_RUN_S = 30.0
"""Ten times what it takes on an idle machine, and less than an image takes to build."""
CTRL_C = 130

PROGRAM = (sys.executable, "-c", "from qvdnode.cli.qvdnode.program import main; main()", "demo")
SMALL = (*PROGRAM, "--desktop", "icewm")
"""XFCE, which is shown unless another is named, takes minutes more to build."""
LOOPBACK = "0100007F"
"""127.0.0.1 as /proc/net/tcp writes it."""


def environment(display: str | None) -> dict[str, str]:
    """Ours, with another display or none."""
    ours = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    return ours if display is None else {**ours, "DISPLAY": display}


class Demo:
    """One run of the program, its JSON lines read as they come."""

    def __init__(
        self, state_dir: Path, *more: str, display: str | None = None, slash: str = ""
    ) -> None:
        self.argv = [*SMALL, "--json", "--state-dir", f"{state_dir}{slash}", *more]
        self.display = display
        self.events: list[dict[str, Any]] = []
        self.process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> asyncio.subprocess.Process:
        assert self.process is not None
        return self.process

    async def __aenter__(self) -> "Demo":
        self.process = await asyncio.create_subprocess_exec(
            *self.argv,
            env=environment(self.display),
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            umask=HARSH_UMASK,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.running.terminate()
            await self.until(None)

    async def until(self, name: str | None) -> dict[str, Any]:
        """Read on to that event, or to the end for None."""
        assert self.running.stdout is not None
        async for line in self.running.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == name:
                return self.events[-1]
        assert name is None, self.events[-5:]
        await self.running.wait()
        return {}

    def event(self, name: str) -> dict[str, Any]:
        """The one event of that name."""
        (found,) = [event for event in self.events if event["event"] == name]
        return found


@pytest.fixture
async def state_dir() -> AsyncIterator[Path]:
    folder = state_root() / f"demo-{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    yield folder
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def nothing_left(state_dir: Path) -> None:
    """By what the demo looks at, and by what it may have forgotten."""
    plan = DemoPlan(state_dir, "demo", None, 0, 0, None, once=True)
    async with asyncio.timeout(60):
        while left := await left_by(plan, SystemClock()):
            print("still there:", left)
    assert await until(lambda: traces(plan) == set(), what=f"{traces(plan)} to be gone")


@pytest.mark.timeout(600)  # builds an image
async def test_a_desktop_from_nothing_and_again_and_killed(state_dir: Path, tmp_path: Path) -> None:
    held, forwarded = forwarding_is_held(), forwards()
    await a_build_broken_off_leaves_nothing(state_dir)
    picture = tmp_path / "desktop.png"
    async with Demo(state_dir, "--once", "--screenshot", str(picture)) as first:
        await first.until(None)
    assert first.running.returncode == 0, first.events[-5:]
    ready = first.event("ready")
    assert set(ready) >= {
        "client_port", "admin_port", "user", "password", "vm_id", "admin_token"
    }  # fmt: skip
    assert first.event("first_window")["steps"].keys() >= {"node", "image", "furnish", "window"}
    assert any("%" in told["text"] for told in first.events if told["event"] == "progress")
    assert first.event("ended")["left"] == []
    assert picture.read_bytes().startswith(b"\x89PNG")
    await nothing_left(state_dir)

    await a_second_run_is_quick_and_does_as_told(state_dir)
    await what_it_says_to_try_next_works(state_dir, tmp_path)
    await without_a_display_it_takes_a_picture_and_says_what_stays(state_dir)

    async with Demo(state_dir) as third:
        await third.until("first_window")
        ours = family(third.running.pid)
        third.running.kill()
        await third.running.wait()
        await nothing_left(state_dir)
        assert await until(lambda: alive(ours) == set(), what=f"the end of {alive(ours)}")
    if not held and not forwarding_is_held():
        assert forwards() == forwarded


async def a_build_broken_off_leaves_nothing(state_dir: Path) -> None:
    async with Demo(state_dir) as demo:
        while "installing" not in (await demo.until("progress"))["text"]:
            pass
        ours = family(demo.running.pid)
        assert any("mmdebstrap" in line for line in alive(ours))
        demo.running.send_signal(signal.SIGINT)
        await demo.until(None)
    assert demo.running.returncode == CTRL_C, "no window was shown: a script must not go on"
    assert demo.event("ended")["left"] == []
    assert alive(ours) == set()
    assert not (state_dir / "demo" / "build").exists()
    await nothing_left(state_dir)


async def a_second_run_is_quick_and_does_as_told(state_dir: Path) -> None:
    """With a display of the user's, ports, a login and a password that are given."""
    client_port, admin_port = free_ports(2)
    options = [
        "--user", "alice", "--password", "pass word",
        "--client-port", str(client_port), "--admin-port", str(admin_port),
    ]  # fmt: skip
    async with (
        xvfb() as display,
        WindowWatcher(display, SystemClock()) as watcher,
        Demo(state_dir, *options, display=display, slash="/") as demo,
        looking_into(state_dir / "demo" / "node.log") as person,
    ):
        window = await demo.until("first_window")
        assert window["seconds"] < SECOND_RUN_S, demo.events
        assert await watcher.wait_new(30.0)
        ready = demo.event("ready")
        assert (ready["user"], ready["password"]) == ("alice", "pass word")
        assert (ready["client_port"], ready["admin_port"]) == (client_port, admin_port)
        assert listening_at({client_port, admin_port}) == {LOOPBACK}
        ours = family(demo.running.pid)
        assert any("nxproxy" in line for line in alive(ours)), "the client shows it with that"
        for pid, _ in ours:
            if Path(f"/proc/{pid}/comm").read_text() == "nxproxy\n":
                os.kill(pid, signal.SIGSTOP)  # one that hangs goes, too
        demo.running.send_signal(signal.SIGINT)
        await demo.until(None)
        assert person.returncode is None
    assert alive(ours) == set()
    assert demo.running.returncode == 0, demo.events[-5:]
    assert demo.event("ended")["left"] == []
    assert not any(told.get("step") == "drawn" for told in demo.events)


@contextlib.asynccontextmanager
async def looking_into(log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """As the demo proposes; a person who does is none of its processes."""
    tail = await asyncio.create_subprocess_exec("tail", "-F", str(log), stdout=DEVNULL)
    try:
        yield tail
    finally:
        tail.kill()
        await tail.wait()


async def what_it_says_to_try_next_works(state_dir: Path, home: Path) -> None:
    """A person's run: times of steps, commands to copy, Ctrl-C."""
    demo = await asyncio.create_subprocess_exec(
        *SMALL, "--state-dir", str(state_dir),
        env=environment(None), stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert demo.stdout is not None
    try:
        said = (await demo.stdout.readuntil(b"Ctrl-C ends it all")).decode()
        assert re.search(r"The desktop is shown on display :\d+ \(\d+\.\d\d s\)", said)
        commands = [line.strip() for line in said.splitlines() if line.startswith("  /")]
        connect, login, look = commands
        await a_second_client_shows_it(connect, home)
        shown = await asyncio.create_subprocess_shell(
            f"{login} && {look}",
            env={**environment(None), "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert b"icewm" in (await shown.communicate())[0]
        assert shown.returncode == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            demo.send_signal(signal.SIGINT)
        rest = await demo.stdout.read()
        await demo.wait()
    assert demo.returncode == 0
    assert b"Everything that the demo started has ended" in rest
    await nothing_left(state_dir)


async def a_second_client_shows_it(command: str, home: Path) -> None:
    async with xvfb() as display, WindowWatcher(display, SystemClock()) as watcher:
        client = await asyncio.create_subprocess_shell(
            f"exec {command}", env={**environment(display), "HOME": str(home)}
        )
        try:
            assert await watcher.wait_new(20.0)
        finally:
            client.terminate()
            await client.wait()


async def without_a_display_it_takes_a_picture_and_says_what_stays(state_dir: Path) -> None:
    picture = state_dir / "demo" / "screenshot.png"
    picture.unlink(missing_ok=True)
    demo = await asyncio.create_subprocess_exec(
        *SMALL, "--once", "--state-dir", str(state_dir),
        env=environment(None), stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    said = (await demo.communicate())[0].decode()
    assert demo.returncode == 0
    assert f"Screenshot in {picture}" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"qvdnode purge --state-dir {state_dir}" in said
    assert "account qvdnode-pg" in said


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, and that the kernel gives to nobody who asks for any."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    for port in secrets.SystemRandom().sample(range(first - 10_000, first), 1_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("all ports are taken")


def listening_at(ports: set[int]) -> set[str]:
    """The addresses, as the kernel writes them, at which somebody listens on these ports."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            address, _, port = line.split()[1].partition(":")
            if line.split()[3] == "0A" and int(port, 16) in ports:
                found.add(address)
    return found


async def test_a_desktop_that_there_is_not_is_told_at_once(state_dir: Path) -> None:
    async with Demo(state_dir, "--desktop", "plasma") as demo:
        await demo.until(None)
    assert demo.running.returncode == 3
    assert list(state_dir.iterdir()) == []


async def test_two_demos_of_one_folder_are_refused(state_dir: Path) -> None:
    async with Demo(state_dir) as first:
        await first.until("step")
        async with Demo(state_dir) as second:
            await second.until(None)
        assert second.running.returncode == 1
        assert "Another demo uses" in second.event("error")["text"]
        assert first.running.returncode is None


async def test_a_display_that_cannot_be_used_is_told_before_anything_is_made(
    state_dir: Path,
) -> None:
    async with Demo(state_dir, display=":59999") as demo:
        await demo.until(None)
    assert demo.running.returncode == 5
    assert "env -u DISPLAY" in demo.event("error")["text"]
    assert not (state_dir / "pg").exists()


@pytest.mark.parametrize("file", ["/no/such/folder/x.png", "/", "/proc/x.png"])
async def test_a_screenshot_that_cannot_be_written_is_told_at_once(
    state_dir: Path, file: str
) -> None:
    async with Demo(state_dir, "--screenshot", file) as demo:
        await demo.until(None)
    assert demo.running.returncode == 1
    assert str(Path(file).parent) in demo.event("error")["text"]
    assert not (state_dir / "pg").exists()


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/demo"])
async def test_a_state_folder_that_cannot_be_made_is_told(state_dir: Path, place: str) -> None:
    (state_dir / "file").touch()
    async with Demo(state_dir / place) as demo:
        await demo.until(None)
    assert demo.running.returncode == 1
    assert "--state-dir" in demo.event("error")["text"]


async def test_a_path_that_mounts_would_read_as_syntax_is_told(state_dir: Path) -> None:
    async with Demo(state_dir / "my demo") as demo:
        await demo.until(None)
    assert demo.running.returncode == 2
    assert "--state-dir" in demo.event("error")["text"]
    assert list(state_dir.iterdir()) == []
