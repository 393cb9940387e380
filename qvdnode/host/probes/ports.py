"""Whether a TCP port can be listened on."""

import contextlib
import socket


def refusal(address: str, port: int) -> str | None:
    """Why nobody could listen there now, or None; blocking, but short."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError as error:
            return error.strerror or "it cannot be bound"
    return None
