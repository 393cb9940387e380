"""Our own client as a child process that ends with this one, showing a desktop on a display."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from itertools import chain

from qvdnode.cli.demo.node import TIED
from qvdnode.cli.demo.plan import LOOPBACK
from qvdnode.daemon.announcement import Announcement
from qvdnode.host import process
from qvdnode.host.child import Child


@contextlib.asynccontextmanager
async def client(
    said: Announcement, display: str, login: tuple[str, str], vm_id: int
) -> AsyncIterator[Child]:
    """Show the VM of a node of this host; `login` is the user's name and password.

    The client's sentences come from the child's stdout.
    """
    user, password = login
    options = {
        "--user": user,
        "--pin": said.fingerprint,
        "--vm": str(vm_id),
        "--display": display,
    }
    address = f"{LOOPBACK}:{said.client_port}"
    child = await process.spawn_piped(
        [*TIED, sys.executable, "-m", "qvdnode.client", address, *chain(*options.items())],
        env={name: os.environ[name] for name in ("HOME", "XAUTHORITY") if name in os.environ},
    )
    try:
        if child.stdin is None:
            raise AssertionError("spawned with pipes")
        child.stdin.write(f"{password}\n".encode())
        child.stdin.close()
        yield child
    finally:
        await process.end(child)
