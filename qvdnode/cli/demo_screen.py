"""Where the demo shows its desktop: the person's X display, or an Xvfb of its own."""
# tested-by: tests/e2e/test_demo.py

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from qvdnode.cli.xvfb import xvfb

SIZE: Final = "1280x800x24"


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
    async with xvfb(SIZE) as own:
        yield DemoScreen(own, own=True)
