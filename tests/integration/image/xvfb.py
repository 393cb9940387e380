"""An X server of the test's own, and nxproxy on it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from qvdnode.host import process
from tests.waiting import until


class Xvfb:
    """A screen that nobody sees, on a free display number."""

    display = ""

    async def __aenter__(self) -> Self:
        """Start it."""
        reading, writing = os.pipe()
        try:
            argv = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x1024x24"]
            self._server = await process.launch([*argv, "-nolisten", "tcp"], pass_fds=[writing])
        finally:
            os.close(writing)
        os.set_blocking(reading, False)

        def told() -> str:
            try:
                return os.read(reading, 16).decode().strip()
            except BlockingIOError:
                return ""

        try:
            self.display = f":{await until(told, limit_s=15, what='Xvfb')}"
        finally:
            os.close(reading)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        await process.end(self._server)

    @asynccontextmanager
    async def viewer(self, address: str) -> AsyncIterator[None]:
        """A client connected to the display at that address."""
        argv = ["nxproxy", "-S", f"nx/nx,connect={address},port=4100:100"]
        with TemporaryDirectory() as home:
            env = {"DISPLAY": self.display, "NX_CLIENT": "/bin/false", "HOME": home}
            proxy = await process.launch(argv, env=env)
            try:
                yield
            finally:
                await process.end(proxy)

    async def windows(self) -> str:
        """All windows of the screen, as xwininfo lists them."""
        done = await process.run(["xwininfo", "-root", "-tree", "-display", self.display])
        return done.stdout.decode(errors="replace")

    async def shows(self, title: str) -> bool:
        """Whether a window of that title is there."""
        return f'"{title}"' in await self.windows()
