"""Where the demo shows its desktop: the person's X display, or an Xvfb of its own."""

import contextlib
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.cli.demo.xvfb import xvfb
from qvdnode.client.display import prepare_display
from qvdnode.model.errors import HostFailed, Unavailable
from qvdnode.wire import x11

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
        await prepare_display(display)
    except Unavailable as error:
        raise Unavailable(
            f"{error}. Correct DISPLAY, or unset it (env -u DISPLAY make demo): the demo then"
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
    with _cookie() as file:
        # A server that starts anew when its last client goes forgets whom it lets in.
        async with xvfb(SIZE, "-auth", str(file), "-noreset") as own:
            yield DemoScreen(own, own=True)


@contextlib.contextmanager
def _cookie() -> Iterator[Path]:
    """A cookie for this process and its children; without, the X server lets all users in."""
    before = os.environ.get("XAUTHORITY")
    with tempfile.TemporaryDirectory(prefix="qvd-") as folder:
        file = Path(folder) / "Xauthority"
        file.write_bytes(x11.xauthority(secrets.token_bytes(16)))
        os.environ["XAUTHORITY"] = str(file)
        try:
            yield file
        finally:
            if before is None:
                del os.environ["XAUTHORITY"]
            else:
                os.environ["XAUTHORITY"] = before
