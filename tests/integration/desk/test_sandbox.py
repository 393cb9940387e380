"""A browser's display, for real: what it can do, what it cannot, and what is left of it."""

import asyncio
import contextlib
import errno
import json
import os
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qvdnode.desk import sandbox
from qvdnode.desk.core import flags
from qvdnode.desk.core.flags import DeskFlags
from qvdnode.desk.fit import PAUSE_S, keep_fit
from qvdnode.desk.sandbox import FOLDERS, Desk, DeskSpec
from qvdnode.host.cgroups import probe
from qvdnode.model.errors import HostFailed
from qvdnode.wire.x11 import UNMAP_NOTIFY
from tests.integration.host.test_group_limits import limit_of
from tests.unit.desk.core.test_x11_fit import event, setup
from tests.waiting import until

pytestmark = pytest.mark.nx

UID = 0xEFFF_0000 + os.getpid() % 0x8000
PREFIX = f"t{os.getpid()}"
LIMIT_S = 60.0

PROBE = """
import ctypes, json, os, socket
found = {}
socket.socket(socket.AF_UNIX).connect("/io/nx")
for name, family in (("vsock", 40), ("netlink", 16), ("unix", 1)):
    try:
        socket.socket(family, socket.SOCK_STREAM if family != 16 else socket.SOCK_RAW, 0)
        found[name] = 0
    except OSError as error:
        found[name] = error.errno
calls = {"keyctl": (250, 0, -3, 0), "userfaultfd": (323, 1), "io_uring_setup": (425, 1, 0)}
libc = ctypes.CDLL(None, use_errno=True)
for name, words in calls.items():
    found[name] = ctypes.get_errno() if libc.syscall(*words) < 0 else 0
files = written = 0
try:
    while files < 1000:
        with open(f"/tmp/.X11-unix/{files}", "wb", buffering=0) as file:
            files += 1
            written += file.write(bytes(1 << 20))
except OSError:
    pass
print(json.dumps({**found, "files": files, "bytes": written}))
"""


def spec(name: str = "1") -> DeskSpec:
    return DeskSpec(
        name=f"{PREFIX}-{name}",
        flags=lambda folder, rfb, filters: DeskFlags(UID, folder, rfb, 800, 600, filters=filters),
        group=sandbox.group_of(PREFIX, name),
        memory_mib=192,
        cpu_pct=150,
    )


@asynccontextmanager
async def desk(name: str = "1") -> AsyncIterator[Desk]:
    try:
        async with sandbox.opened(spec(name), probe()) as running:
            yield running
    finally:
        sandbox.sweep(PREFIX, probe())


def processes() -> set[int]:
    return probe().processes(sandbox.group_of(PREFIX))


def status(pid: int, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{field}:"))


async def test_it_speaks_rfb_and_nx_and_leaves_nothing() -> None:
    loop = asyncio.get_running_loop()
    async with desk() as running:
        assert (await loop.sock_recv(running.rfb, 64)).startswith(b"RFB 003.008")
        nx = await running.dial()
        with nx:
            assert (await loop.sock_recv(nx, 64)).startswith(b"NXPROXY-")
        assert len(processes()) >= 3
    assert processes() == set()
    assert not list(FOLDERS.glob(f"{PREFIX}-*"))
    assert not probe().exists(sandbox.group_of(PREFIX))


async def test_it_has_no_rights_on_the_host() -> None:
    async with desk() as running:
        with await running.dial():
            for pid in processes():
                assert set(status(pid, "Uid").split()) == {str(UID)}
                assert status(pid, "NoNewPrivs") == "1"
            inner = max(processes())
            assert int(status(inner, "CapBnd"), 16) == 0
            for kind in ("net", "pid", "ipc", "mnt", "user", "uts"):
                outside = Path(f"/proc/self/ns/{kind}").readlink()
                assert Path(f"/proc/{inner}/ns/{kind}").readlink() != outside
            links = Path(f"/proc/{inner}/net/dev").read_text().splitlines()[2:]
            assert [line.split(":")[0].strip() for line in links] == ["lo"]


async def test_who_takes_it_over_gets_no_other_sockets_and_fills_nothing_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probe_script = f"echo 1; read -r _; exec /usr/bin/python3 -I -c {shlex.quote(PROBE)}"
    monkeypatch.setattr(flags, "script", lambda _flags: probe_script)
    async with desk() as running:
        (await running.dial()).close()
        await asyncio.wait_for(running.ended(), LIMIT_S)
        found = json.loads(running.last_words().splitlines()[-1])
    assert {name: found[name] for name in ("vsock", "netlink")} == {
        "vsock": errno.EAFNOSUPPORT, "netlink": errno.EAFNOSUPPORT,
    }  # fmt: skip
    assert {found[name] for name in ("keyctl", "userfaultfd", "io_uring_setup")} == {errno.EPERM}
    assert found["unix"] == 0
    assert found["files"] < 16
    assert found["bytes"] <= 64 * 1024


async def test_it_has_its_share_of_the_host_and_no_more() -> None:
    """A guest decides what it draws, and its browser what it decodes."""
    async with desk():
        group = sandbox.group_of(PREFIX, "1")
        assert limit_of(probe(), group, "cpu.max", "cpu.cfs_quota_us").split()[0] == "150000"
        assert limit_of(probe(), group, "memory.max", "memory.limit_in_bytes") == str(192 << 20)
        for hierarchy in probe().hierarchies:
            if (hierarchy / group).exists():
                joined = (hierarchy / group / "cgroup.procs").read_text().split()
                assert set(map(int, joined)) == processes()


async def test_its_windows_are_fitted_until_it_ends() -> None:
    async with desk() as running:
        folder = os.open(running.folder / "x11", os.O_DIRECTORY)
        try:
            fitting = asyncio.create_task(keep_fit(folder, "X1", UID, lambda: None))
            await asyncio.sleep(0)
            assert not fitting.done()
            os.kill(running.pid, 9)
            await asyncio.wait_for(fitting, LIMIT_S)
        finally:
            os.close(folder)


async def test_a_socket_that_it_could_have_planted_is_not_dialled(tmp_path: Path) -> None:
    victim = await asyncio.start_unix_server(lambda _reader, _writer: None, tmp_path / "victim")
    folder = os.open(tmp_path, os.O_DIRECTORY)
    try:
        (tmp_path / "X1").symlink_to(tmp_path / "victim")
        for name in ("X1", "victim", "missing"):
            with pytest.raises(HostFailed):
                await keep_fit(folder, name, UID, lambda: None)
    finally:
        os.close(folder)
        victim.close()


async def test_a_display_that_sends_without_end_is_read_slowly(tmp_path: Path) -> None:
    """What it says is read in the node's own process, which has others to serve."""
    taken = 0

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        writer.write(setup())
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(event(UNMAP_NOTIFY, 1) * 512)
                await writer.drain()
                taken += 1

    display = await asyncio.start_unix_server(flood, tmp_path / "X1")
    folder = os.open(tmp_path, os.O_DIRECTORY)
    fitting = asyncio.create_task(keep_fit(folder, "X1", os.geteuid(), lambda: None))
    try:
        await until(lambda: taken > 30, limit_s=LIMIT_S)  # all buffers on the way are full
        before, began_s = taken, asyncio.get_running_loop().time()
        await until(lambda: taken >= before + 40, limit_s=LIMIT_S)
        took_s = asyncio.get_running_loop().time() - began_s
        assert took_s >= (40 - 4) * PAUSE_S  # a pause after each piece of 16 KiB
    finally:
        fitting.cancel()
        await asyncio.wait([fitting])
        os.close(folder)
        display.close()


async def test_one_that_is_killed_is_seen_to_end() -> None:
    async with desk() as running:
        (await running.dial()).close()
        watching = asyncio.create_task(running.ended())
        os.kill(max(processes()), 9)
        await asyncio.wait_for(watching, LIMIT_S)


async def test_what_an_earlier_process_left_is_swept() -> None:
    async with desk():
        (FOLDERS / f"{PREFIX}-left").mkdir()
        sandbox.sweep(PREFIX, probe())
        await until(lambda: not processes(), limit_s=LIMIT_S)
        assert not list(FOLDERS.glob(f"{PREFIX}-*"))
