"""A real nxagent on loopback, and a server that lets clients through to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from qvdnode.host import process
from tests.fakes.qvd_server import FakeQvdServer
from tests.waiting import until

QUIET_CRASH = ("prlimit", "--core=0")
READY_S = 60.0


@contextlib.asynccontextmanager
async def agent(folder: Path, number: int) -> AsyncIterator[int]:
    """A real nxagent on an X display of that number, listening; the port."""
    port = 5000 + number
    log = folder / "agent.log"
    with log.open("wb") as output:
        child = await process.launch(
            [*QUIET_CRASH, "nxagent", "-ac", "-nolisten", "tcp", "-persistent", f":{number}"],
            env={
                "HOME": str(folder),
                "DISPLAY": f"nx/nx,link=lan,listen={port}:{number}",
                "NX_CLIENT": "/bin/false",
            },
            output=output,
        )
    try:
        await until(lambda: b"Waiting for connection" in log.read_bytes(), limit_s=READY_S)
        yield port
    finally:
        await process.end(child, grace_s=2)


def relay_to(port: int, server: FakeQvdServer, over: asyncio.Event) -> None:
    """Let the server relay to nxagent until `over`, then close with a goodbye."""

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while piece := await source.read(65_536):
                    sink.write(piece)
                    await sink.drain()

        pumps = [
            asyncio.create_task(pump(reader, far_writer)),
            asyncio.create_task(pump(far_reader, writer)),
        ]
        await over.wait()
        far_writer.transport.abort()
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    server.stream = stream
