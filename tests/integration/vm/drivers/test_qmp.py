"""The client of QEMU's protocol, against a server of the test's own; the contract runs QEMU's."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.vm.drivers.qmp import carry_out
from tests.harness.unix_server import unix_server
from tests.unit.vm.core.test_qmp_codec import GREETING, RESUMED

LIMIT_S = 10.0
ANSWERS = {"qmp_capabilities": {}, "query-status": {"status": "running"}}


@asynccontextmanager
async def qemu(
    path: Path, greeting: bytes = GREETING, *, answers: bool = True
) -> AsyncIterator[Path]:
    """A socket at which somebody speaks QMP."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while answers and (line := await reader.readline()):
            asked = json.loads(line)
            known = ANSWERS.get(asked["execute"])
            said = (
                {"return": known}
                if known is not None
                else {"error": {"class": "CommandNotFound", "desc": "not known"}}
            )
            writer.write(RESUMED + json.dumps({**said, "id": asked["id"]}).encode() + b"\r\n")
        await reader.read()

    async with unix_server(path, serve):
        yield path


async def test_commands_are_carried_out_among_events(tmp_path: Path) -> None:
    async with qemu(tmp_path / "q") as path:
        assert await carry_out(path, ["query-status"], limit_s=LIMIT_S) == [{"status": "running"}]


async def test_a_refusal_is_told(tmp_path: Path) -> None:
    async with qemu(tmp_path / "q") as path:
        with pytest.raises(HostFailed, match="QEMU refused dance: not known"):
            await carry_out(path, ["dance"], limit_s=LIMIT_S)


async def test_a_socket_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostFailed, match="cannot be asked"):
        await carry_out(tmp_path / "none", ["query-status"], limit_s=LIMIT_S)


async def test_nonsense_is_told(tmp_path: Path) -> None:
    async with qemu(tmp_path / "q", b"SSH-2.0-x\r\n") as path:
        with pytest.raises(HostFailed, match="not JSON"):
            await carry_out(path, ["query-status"], limit_s=LIMIT_S)


async def test_silence_has_a_limit(tmp_path: Path) -> None:
    async with qemu(tmp_path / "q", answers=False) as path:
        with pytest.raises(TimedOut):
            await carry_out(path, ["query-status"], limit_s=0.2)
