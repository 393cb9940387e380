"""Ports of programs that benchmarks start."""

import contextlib
import socket
import time
from typing import Final

START_LIMIT_S: Final = 20.0


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Return once somebody listens on it; raises TimeoutError."""
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=1.0),
        ):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
