"""The node's end of the line to a machine, against an agent of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qvdnode.model.errors import GuestFailed, HostFailed, TimedOut
from qvdnode.vm.drivers.machine_agent import MachineAgent
from tests.harness.unix_server import Serve, unix_server

LIMIT_S = 10.0


@asynccontextmanager
async def agent_that(serve: Serve, path: Path) -> AsyncIterator[MachineAgent]:
    """A client of a socket at which that answers."""
    async with unix_server(path, serve):
        agent = MachineAgent(path)
        try:
            yield agent
        finally:
            agent.close()


async def backwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer two questions, the second one first, with what their verb is."""
    lines = [await reader.readline() for _ in range(2)]
    for line in reversed(lines):
        number, verb = line.decode().split()[:2]
        writer.write(f"{number} {verb}\n".encode())
    await reader.read()


async def test_answers_reach_those_who_asked(tmp_path: Path) -> None:
    async with agent_that(backwards, tmp_path / "a") as agent:
        first, second = agent.ask("7"), agent.ask("8")
        async with asyncio.timeout(LIMIT_S):
            assert (await first, await second) == (7, 8)


async def test_a_machine_that_is_gone_is_told() -> None:
    with pytest.raises(HostFailed, match="it is gone"):
        MachineAgent(Path("/nonexistent/agent")).ask("ping").cancel()


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Answer nothing."""
    await reader.read()


async def test_an_agent_that_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    async with agent_that(silent, tmp_path / "a") as agent:
        with pytest.raises(TimedOut):
            await agent.answer("ping", limit_s=0.1)


async def hangs_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """As a QEMU that is killed."""
    await reader.readline()


async def test_an_agent_that_hangs_up_is_told_and_may_be_asked_again(tmp_path: Path) -> None:
    async with agent_that(hangs_up, tmp_path / "a") as agent:
        for _ in range(2):
            with pytest.raises(GuestFailed, match="hung up"):
                await agent.answer("ping", limit_s=LIMIT_S)


async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write lies for as long as somebody listens."""
    while True:
        writer.write(b"00 0\n" * 1000)
        await writer.drain()


async def test_an_agent_that_floods_is_hung_up_on(tmp_path: Path) -> None:
    async with agent_that(flood, tmp_path / "a") as agent:
        with pytest.raises(GuestFailed, match="hung up"):
            await agent.answer("ping", limit_s=LIMIT_S)


async def deaf(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Read nothing: beyond what the stream buffers, the rest stays in the socket."""
    await asyncio.Event().wait()


async def test_an_agent_that_reads_nothing_takes_no_order_without_blocking(tmp_path: Path) -> None:
    def ask_without_end(agent: MachineAgent) -> None:
        while True:
            agent.ask("ping").cancel()

    async with agent_that(deaf, tmp_path / "a") as agent:
        with pytest.raises(HostFailed, match="takes no order"):
            ask_without_end(agent)
