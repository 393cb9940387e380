"""The network namespace of a guest, from outside."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from qvdnode.host import linux_calls as linux
from qvdnode.model.errors import HostFailed

OWN: Final = Path("/proc/thread-self/ns/net")


def switch_ipv6_off(pid: int, link: str) -> None:
    """Take IPv6 from that link of the namespace that the process is in; its loopback keeps it.

    Blocks for a moment. Raises HostFailed; without IPv6 in the kernel, or the process, all is well.
    """
    switch = Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6")
    try:
        with contextlib.suppress(FileNotFoundError), _inside(pid):
            switch.write_text("1", encoding="ascii")
    except OSError as error:
        raise HostFailed(f"IPv6 of a guest cannot be switched off: {error}") from error


@contextlib.contextmanager
def _inside(pid: int) -> Iterator[None]:
    """This thread alone is in the network namespace of that process meanwhile."""
    theirs = Path(f"/proc/{pid}/ns/net")
    with _opened(OWN) as before, _opened(theirs) as namespace:
        linux.enter_network(namespace, theirs)
        try:
            yield
        finally:
            linux.enter_network(before, OWN)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
