"""Whether a TCP port can be listened on."""

import contextlib
import errno
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PortRefusal:
    """Why nobody could listen there."""

    text: str
    of_address: bool
    """Whether the address is none of this host's, so that no other port would do either."""


def refusal(address: str, port: int) -> PortRefusal | None:
    """Why nobody could listen there now, or None; blocking, but short."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError as error:
            foreign = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
            return PortRefusal(error.strerror or "It cannot be bound", foreign)
    return None
