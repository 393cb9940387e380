"""An Xvfb of one's own."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def xvfb(size: str = "1280x800x24", max_clients: int = 512) -> AsyncIterator[str]:
    """The display string of a new Xvfb, ended at the end."""
    reader, writer = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            "Xvfb",
            "-displayfd",
            str(writer),
            "-screen",
            "0",
            size,
            "-nolisten",
            "tcp",
            "-maxclients",
            str(max_clients),
            "-ac",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(writer,),
        )
    finally:
        os.close(writer)
    try:
        number = await asyncio.to_thread(os.read, reader, 16)
        if not number.strip():
            raise AssertionError("Xvfb did not start")
        yield f":{int(number)}"
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
