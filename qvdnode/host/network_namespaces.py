"""Network namespaces of guests, and for sockets that no host user may connect to.

Abstract unix sockets belong to a network namespace, and whoever wants to enter one needs
CAP_SYS_ADMIN over it.
"""

import os
from pathlib import Path
from typing import Final

from qvdnode.host import linux_calls as linux
from qvdnode.host.own_thread import in_own_thread
from qvdnode.model.errors import HostFailed

OWN: Final = Path("/proc/thread-self/ns/net")
PING_GROUPS: Final = Path("/proc/sys/net/ipv4/ping_group_range")
"""The kernel shows that of the namespace of the thread which opens it."""


class NetworkNamespace:
    """An open network namespace without a name: it ends with the last process or opener of it."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._file = path
        self.descriptor = -1  # until it is open
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def enter(self) -> None:
        """Move this thread into it; raises OSError."""
        linux.enter_network(self.descriptor, self._file)

    def is_own(self) -> bool:
        """Whether it is the one in which this thread is, as all of the process are."""
        return os.path.samestat(os.fstat(self.descriptor), OWN.stat())

    def close(self) -> None:
        """Close it; safe to repeat."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        """A descriptor does not outlive whoever had the namespace opened."""
        self.close()


async def new_namespace() -> NetworkNamespace:
    """A new one, with nothing in it but a loopback that is down; raises HostFailed."""

    def make() -> NetworkNamespace:
        linux.unshare_network()
        return NetworkNamespace(OWN)

    try:
        return await in_own_thread(make, name="new-network")
    except OSError as error:
        raise HostFailed(f"no network namespace can be made: {error.strerror}") from error


async def allow_ping(namespace: NetworkNamespace, first_gid: int, last_gid: int) -> None:
    """Let these groups of the host send echo requests there; raises HostFailed.

    The kernel makes the packets' heads itself, so nobody needs raw sockets. A new namespace allows
    no group.
    """

    def write() -> None:
        namespace.enter()
        PING_GROUPS.write_text(f"{first_gid} {last_gid}", encoding="ascii")

    try:
        await in_own_thread(write, name="allow-ping")
    except OSError as error:
        raise HostFailed(f"{PING_GROUPS} cannot be set: {error.strerror}") from error


def of_process(pid: int) -> Path:
    """The file by which the kernel shows the namespace of a process."""
    return Path(f"/proc/{pid}/ns/net")
