"""Our own client as a program, and what it says."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.harness.farm import PASSWORD, Desk
from tests.harness.node import NodeProcess


@asynccontextmanager
async def shown(
    desk: Desk, node: NodeProcess, display: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The client program, which logs in at that node and looks for the desktop when it is lost."""
    assert node.said is not None
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "qvdnode.client", f"{node.host}:{node.client_port}"),
        *("--user", desk.login, "--pin", node.said.fingerprint),
        *("--vm", str(desk.vm_id), "--display", display),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(f"{PASSWORD}\n".encode())
        process.stdin.close()
        yield process
    finally:
        process.terminate()
        await process.wait()


async def said(client: asyncio.subprocess.Process, sentence: str) -> None:
    """Return when the client has written that line."""
    assert client.stdout is not None
    heard = []
    async for line in client.stdout:
        heard.append(line.decode().strip())
        if heard[-1] == sentence:
            return
    raise AssertionError(f"the client ended: {heard}")
