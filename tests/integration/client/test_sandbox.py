"""nxproxy's sandbox: a program in nxproxy's place tries what a hostile guest would have it do."""

import json
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from qvdnode.client import sandbox
from qvdnode.client.core import sandbox as core
from qvdnode.client.core.sandbox import SandboxNeeds
from qvdnode.host import process
from tests.fakes.qvd_server import FakeQvdServer
from tests.harness.screen import bare_xvfb
from tests.integration.client.people import QUICK, Said, StandIn, client, descendants
from tests.waiting import until

PROBE = Path(__file__).with_name("sandbox_probe.py")
NOBODY = 65_534


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a person, with a secret, and secrets in the environment."""
    home = tmp_path.parent / f"{tmp_path.name}-home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_rsa").write_text("secret")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
    monkeypatch.setenv("NX_SLAVE_CMD", "/bin/sh")
    return home


async def reported(
    server: FakeQvdServer, stand_in: StandIn, home: Path, folder: Path, said: Said
) -> dict[str, Any]:
    """What the program in nxproxy's place could do."""
    report = bytearray()

    async def hear(reader: Any, _writer: Any) -> None:
        report.extend(await reader.readuntil(b"\n"))

    server.stream = hear
    shutil.copy(PROBE, folder / "sandbox_probe.py")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as bus,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        bus.bind(str(home / "bus"))
        bus.listen()
        abstract.bind(f"\0{home}/abstract")
        abstract.listen()
        port = tcp.getsockname()[1]
        stand_in(f'exec python3 -I {folder}/sandbox_probe.py "$2" {home} {port} {os.getpid()}')
        async with bare_xvfb() as display:
            await client(server, display, said).run(QUICK)
    found: dict[str, Any] = json.loads(report)
    return found


async def test_it_reaches_nothing_of_the_person(
    server: FakeQvdServer, stand_in: StandIn, victim: Path, tmp_path: Path
) -> None:
    said = Said()
    found = await reported(server, stand_in, victim, tmp_path, said)
    for attempt in (
        "read the key", "write the home", "write the system", "dial TCP", "dial the bus",
        "dial the abstract socket", "trace the client", "signal the client", "make a namespace",
        "raise core dumps", "take 3 GiB", "fill the folder", "make a socket of machines",
        "make a socket of the kernel", "look at keys", "handle faults of pages",
    ):  # fmt: skip
        assert found[attempt] != "done", (attempt, found)
    assert found["dial the display"] == "done", found
    assert found["no new privileges"] == 1
    assert set(found["environment"]) <= {
        "DISPLAY", "HOME", "LC_ALL", "NX_CLIENT", "PATH", "PWD", "TEMP",
    }  # fmt: skip
    assert found["descriptors"] == [0, 1, 2]
    assert not any("Warning" in sentence for sentence in said)


async def test_without_a_sandbox_there_are_limits_and_a_warning(
    server: FakeQvdServer,
    stand_in: StandIn,
    victim: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(core, "BUBBLEWRAP", "bwrap-that-is-not-there")
    said = Said()
    found = await reported(server, stand_in, victim, tmp_path, said)
    assert "apt install bubblewrap" in next(line for line in said if "Warning" in line)
    assert found["no new privileges"] == 1
    assert found["take 3 GiB"] != "done"
    assert {"SSH_AUTH_SOCK", "NX_SLAVE_CMD", "XAUTHORITY"}.isdisjoint(found["environment"])


async def test_a_sandbox_that_the_kernel_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await sandbox.problem() is None
    monkeypatch.setattr(core, "BUBBLEWRAP", "false")
    why = await sandbox.problem()
    assert why is not None
    assert "false failed" in why


async def test_an_ordinary_user_has_it_too() -> None:
    as_nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    await process.run([*as_nobody, *core.sandboxed(SandboxNeeds("/usr/bin/true"), ())])


async def test_it_ends_with_the_client_however_that_ends() -> None:
    """The kernel tells the sandbox, and the sandbox is the init of all that is in it."""
    argv = core.sandboxed(SandboxNeeds("/usr/bin/sleep"), ("61.0503",))
    parent = await process.launch(["sh", "-c", f"{' '.join(argv)} & wait"])
    await until(lambda: bool(descendants("sleep")))
    pids = descendants("sleep")
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


@pytest.mark.parametrize("display", ["far:3", ":59999"])
def test_a_display_whose_socket_has_no_file_is_dialled_over_the_network(display: str) -> None:
    assert "--share-net" in sandbox.command("nxproxy", (), "/run/nx", display, confine=True)


async def test_a_local_display_needs_no_network() -> None:
    async with bare_xvfb() as display:
        argv = sandbox.command("nxproxy", (), "/run/nx", display, confine=True)
    assert "--share-net" not in argv
    assert f"{sandbox.X_SOCKETS}/X{display.removeprefix(':')}" in argv
