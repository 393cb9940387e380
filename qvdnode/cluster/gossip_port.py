"""The port of the membership: one number for UDP and TCP, since a member announces one address."""

import socket
from dataclasses import dataclass
from typing import Final, Self

from qvdnode.model.errors import HostFailed
from qvdnode.tls.acceptor import listen

SECTION: Final = "gossip"
ATTEMPTS: Final = 20
"""To find a number that is free for both, where any number will do."""


@dataclass(frozen=True, slots=True)
class GossipPort:
    """Both sockets, bound."""

    tcp: socket.socket
    udp: socket.socket

    @classmethod
    def open(cls, address: str, port: int) -> Self:
        """Bind both; 0 takes any number. Raises HostFailed."""
        attempts = 1 if port else ATTEMPTS
        while True:
            attempts -= 1
            tcp = listen(address, port, section=SECTION)
            try:
                return cls(tcp, _datagram_socket(address, tcp.getsockname()[1]))
            except OSError as error:
                tcp.close()
                if attempts == 0:
                    raise HostFailed(
                        f"[{SECTION}] cannot use {address} UDP port {port}: {error.strerror}."
                        f" Choose another [{SECTION}] address or port, or stop what uses it."
                    ) from error

    @property
    def number(self) -> int:
        """Number of the port."""
        number: int = self.tcp.getsockname()[1]
        return number

    def close(self) -> None:
        """Close both; does nothing when they are closed."""
        self.tcp.close()
        self.udp.close()


def _datagram_socket(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)  # noqa: FBT003 - the call takes it so
        udp.bind((address, port))
    except OSError:
        udp.close()
        raise
    return udp
