"""The network namespace in which LXC's monitors listen for orders about their guests.

A monitor listens at an abstract unix socket. Whoever can dial it can open connections until the
monitor has no descriptors left, which ends its guest; whoever takes its name first is asked in its
place. Abstract sockets belong to a network namespace, so monitors run in one that no user of the
host can enter. It has no name: it lasts as long as a monitor or the node, and the next process of
the node makes another and finds earlier monitors in theirs.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from qvdnode.host import linux_calls
from qvdnode.host.network_namespaces import NetworkNamespace, new_namespace, of_process
from qvdnode.model.errors import HostFailed
from qvdnode.vm.core import socket_filter


class ControlNetwork:
    """The namespace for the monitors that one process of the node starts."""

    def __init__(self) -> None:
        self._namespace: NetworkNamespace | None = None
        self._making = asyncio.Lock()

    async def get(self) -> NetworkNamespace:
        """Make it if there is none yet; it stays open. Raises HostFailed."""
        async with self._making:
            if self._namespace is None:
                self._namespace = await new_namespace()
            return self._namespace


@dataclass(frozen=True, slots=True)
class Confined:
    """What LXC's programs, and all that they start, inherit of the thread that starts them."""

    network: NetworkNamespace

    def enter(self) -> None:
        """For a thread that does nothing else; wants CAP_SYS_ADMIN, raises OSError."""
        self.network.enter()
        linux_calls.filter_system_calls(socket_filter.program())


def network_of_monitor(name: str, monitors: Callable[[], set[int]]) -> NetworkNamespace:
    """The namespace that a guest's monitor listens in, to be closed; raises HostFailed.

    `monitors` looks up its pid, which may belong to another process by the time it is used.
    """
    gone = HostFailed(f"the LXC monitor of {name} is gone")
    pid = min(monitors(), default=None)
    if pid is None:
        raise gone
    try:
        namespace = NetworkNamespace(of_process(pid))
    except (FileNotFoundError, ProcessLookupError) as error:
        raise gone from error
    with contextlib.ExitStack() as undo:
        undo.callback(namespace.close)
        if pid not in monitors():
            raise gone
        if namespace.is_own():
            raise HostFailed(
                f"the monitor of {name} was started by an earlier release, and any user of the "
                "host could answer in its place: stop the desktop and start it again"
            )
        undo.pop_all()
    return namespace
