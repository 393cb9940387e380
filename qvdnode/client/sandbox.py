"""Whether this machine can confine nxproxy, and the command line and environment that do it."""

import shutil
from pathlib import Path
from typing import Final

from qvdnode.client.core import sandbox
from qvdnode.client.core.sandbox import SandboxNeeds
from qvdnode.client.x11_link import local_number
from qvdnode.host import process
from qvdnode.model.errors import FarmError

X_SOCKETS: Final = "/tmp/.X11-unix"
PROBE_LIMIT_S: Final = 5.0
TRUE: Final = "/usr/bin/true"


async def problem() -> str | None:
    """Return why programs cannot be confined here, None if they can."""
    if shutil.which(sandbox.BUBBLEWRAP) is None:
        return "bubblewrap is not installed (apt install bubblewrap)"
    try:
        await process.run(sandbox.sandboxed(SandboxNeeds(TRUE), ()), limit_s=PROBE_LIMIT_S)
    except FarmError as error:
        return str(error)
    return None


def command(
    program: str,
    arguments: tuple[str, ...],
    socket: str,
    display: str,
    *,
    confine: bool,
    filters: tuple[int, ...] = (),
) -> list[str]:
    """Return the command line for a program that uses our socket and the display.

    `filters` has the descriptor of the filter of system calls, if there is one.
    """
    path = shutil.which(program) or program
    if not confine:
        return sandbox.unsandboxed(path, arguments)
    shown = _display_socket(display)
    sockets = (socket,) if shown is None else (socket, shown)
    needs = SandboxNeeds(path, sockets, network=shown is None, filters=filters)
    return sandbox.sandboxed(needs, arguments)


def environment(display: str, folder: str, *, confine: bool) -> dict[str, str]:
    """Return the program's environment.

    nxproxy keeps a folder under HOME and starts NX_CLIENT for dialogs; it gets neither of the
    user's. It has no use for XAUTHORITY: it passes on the greeting that comes from the guest.
    """
    home = sandbox.HOME if confine else folder
    return {"DISPLAY": display, "HOME": home, "TEMP": home, "NX_CLIENT": "/bin/false"}


def _display_socket(display: str) -> str | None:
    """The file of the X server's socket; None where there is none, and it is dialled otherwise."""
    number = local_number(display)
    path = Path(X_SOCKETS) / f"X{number}"
    return str(path) if number is not None and path.is_socket() else None
