"""`qvdnode demo` as a new user runs it: from nothing, again, killed; nothing is left each time."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from qvdnode.cli.demo_plan import DemoPlan
from qvdnode.cli.demo_traces import left_by
from qvdnode.runtime.clock import SystemClock
from tests.harness.node import test_root as state_root

SECOND_RUN_S = 10.0


class Demo:
    """One run of the program, its JSON lines read as they come."""

    def __init__(self, state_dir: Path, *more: str) -> None:
        script = "from qvdnode.cli.qvdnode_program import main; main()"
        self.argv = [sys.executable, "-c", script, "demo", "--json", "--state-dir", str(state_dir)]
        self.argv += more
        self.events: list[dict[str, Any]] = []
        self.process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> asyncio.subprocess.Process:
        assert self.process is not None
        return self.process

    async def __aenter__(self) -> "Demo":
        env = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        self.process = await asyncio.create_subprocess_exec(
            *self.argv, env=env, stdout=asyncio.subprocess.PIPE, start_new_session=True
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
    plan = DemoPlan(state_dir, "demo", None, 0, 0, None, once=True)
    async with asyncio.timeout(60):
        while left := await left_by(plan, SystemClock()):
            print("still there:", left)


@pytest.mark.timeout(400)  # builds an image
async def test_a_desktop_from_nothing_and_again_and_killed(state_dir: Path, tmp_path: Path) -> None:
    picture = tmp_path / "desktop.png"
    async with Demo(state_dir, "--once", "--screenshot", str(picture)) as first:
        await first.until(None)
    assert first.running.returncode == 0, first.events[-5:]
    ready = first.event("ready")
    assert set(ready) >= {
        "client_port", "admin_port", "user", "password", "vm_id", "admin_token"
    }  # fmt: skip
    assert first.event("first_window")["steps"].keys() >= {"node", "image", "furnish", "window"}
    assert first.event("ended")["left"] == []
    assert picture.read_bytes().startswith(b"\x89PNG")
    await nothing_left(state_dir)

    async with Demo(state_dir, "--user", "alice", "--password", "pass word") as second:
        window = await second.until("first_window")
        assert window["seconds"] < SECOND_RUN_S, second.events
        assert second.event("ready")["password"] == "pass word"
        second.running.send_signal(signal.SIGINT)
        await second.until(None)
    assert second.running.returncode == 0, second.events[-5:]
    assert second.event("ended")["left"] == []

    async with Demo(state_dir) as third:
        await third.until("first_window")
        third.running.kill()
        await third.running.wait()
        await nothing_left(state_dir)


async def test_two_demos_of_one_folder_are_refused(state_dir: Path) -> None:
    async with Demo(state_dir) as first:
        await first.until("step")
        async with Demo(state_dir) as second:
            await second.until(None)
        assert second.running.returncode == 1
        assert "Another demo uses" in second.event("error")["text"]
        assert first.running.returncode is None
