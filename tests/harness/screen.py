"""An Xvfb of one's own."""

from contextlib import AbstractAsyncContextManager

from qvdnode.cli import xvfb as server


def xvfb(size: str = "1280x800x24", max_clients: int = 512) -> AbstractAsyncContextManager[str]:
    """The display of a new Xvfb, for clients of any user; ended at the end."""
    return server.xvfb(size, "-maxclients", str(max_clients), "-ac")
