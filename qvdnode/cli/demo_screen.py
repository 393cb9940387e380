"""Where the demo shows its desktop: the person's X display, or an Xvfb of its own."""
# tested-by: tests/e2e/test_demo.py

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from qvdnode.cli.demo_node import TIED
from qvdnode.host import process
from qvdnode.model.errors import HostFailed

SIZE: Final = "1280x800x24"
START_LIMIT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class DemoScreen:
    """A display to show the desktop on."""

    display: str
    own: bool
    """Whether it is an Xvfb that nobody sees, so that a picture is worth taking."""


@contextlib.asynccontextmanager
async def screen(display: str | None) -> AsyncIterator[DemoScreen]:
    """The display given, or an Xvfb that ends with the scope; raises HostFailed."""
    if display:
        yield DemoScreen(display, own=False)
        return
    reader, writer = os.pipe()
    try:
        child = await process.launch(
            [*TIED, "Xvfb", "-displayfd", str(writer), "-screen", "0", SIZE, "-nolisten", "tcp"],
            pass_fds=(writer,),
        )
    finally:
        os.close(writer)
    try:
        yield DemoScreen(f":{await _number(reader)}", own=True)
    finally:
        await process.end(child)


async def _number(reader: int) -> int:
    """The display that Xvfb chose."""
    stream = asyncio.StreamReader()
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), pipe
        )
        try:
            async with asyncio.timeout(START_LIMIT_S):
                said = await stream.readline()
        except TimeoutError as error:
            raise HostFailed("Xvfb does not start") from error
        finally:
            transport.close()
    if not said.strip():
        raise HostFailed("Xvfb does not start")
    return int(said)
