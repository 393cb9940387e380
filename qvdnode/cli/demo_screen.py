"""Where the demo shows its desktop: the person's X display, or an Xvfb of its own."""
# tested-by: tests/e2e/test_demo.py

import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.cli.xvfb import xvfb
from qvdnode.client.display import look_at
from qvdnode.model.errors import HostFailed, Unavailable

SIZE: Final = "1280x800x24"


@dataclass(frozen=True, slots=True)
class DemoScreen:
    """A display to show the desktop on."""

    display: str
    own: bool
    """Whether it is an Xvfb that nobody sees, so that a picture is worth taking."""


async def must_be_usable(display: str) -> None:
    """Raise Unavailable if the display cannot be used: better now than after minutes of work."""
    try:
        await look_at(display)
    except Unavailable as error:
        raise Unavailable(
            f"{error}. Mend DISPLAY, or take it away (env -u DISPLAY make demo): the demo then"
            " takes a picture of the desktop."
        ) from error


def must_take_a_file(file: Path) -> None:
    """Raise HostFailed if nothing could be written there, for the same reason."""
    if file.is_dir():
        raise HostFailed(f"{file} is a folder: give --screenshot the name of a file.")
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise HostFailed(
            f"No screenshot can be put into the folder {file.parent}: {error.strerror}."
        ) from error


@contextlib.asynccontextmanager
async def screen(display: str | None) -> AsyncIterator[DemoScreen]:
    """The display given, or an Xvfb that ends with the scope; raises HostFailed."""
    if display:
        yield DemoScreen(display, own=False)
        return
    async with xvfb(SIZE) as own:
        yield DemoScreen(own, own=True)
