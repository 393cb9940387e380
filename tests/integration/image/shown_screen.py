"""An X server of the test's own, and nxproxy on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from qvdnode.host import process
from tests.harness.screen import xvfb


@asynccontextmanager
async def screen() -> AsyncIterator["Screen"]:
    """A screen of an X server of one's own."""
    async with xvfb("1280x1024x24") as display:
        yield Screen(display)


@dataclass(frozen=True)
class Screen:
    """A screen that nobody sees."""

    display: str

    @asynccontextmanager
    async def viewer(self, address: str) -> AsyncIterator[None]:
        """A client connected to the display at that address."""
        argv = ["prlimit", "--core=0", "nxproxy", "-S", f"nx/nx,connect={address},port=4100:100"]
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
