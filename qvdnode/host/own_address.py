"""The address by which other hosts reach this one."""

import socket
from typing import Final

ELSEWHERE: Final = ("192.0.2.1", 9)
"""An address of nobody (RFC 5737): only the route to it is looked up, nothing is sent."""
LOOPBACK: Final = "127.0.0.1"


def own_address() -> str:
    """The source address of the default route; the loopback's on a host without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
        except OSError:
            return LOOPBACK
        return str(probe.getsockname()[0])
