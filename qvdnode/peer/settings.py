"""Settings of the port for other nodes, and its limits for whoever has not proved to be one."""

from dataclasses import dataclass
from ipaddress import ip_address

from qvdnode.tls.host_names import is_host_name


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """The `[peer]` section: the listener for the other nodes of the farm."""

    address: str = "0.0.0.0"
    """Address to listen on; `::` for all of IPv6 and IPv4."""
    port: int = 8445
    """TCP port; 0 takes any free one."""
    advertise: str = ""
    """Name or address by which other nodes reach this one. Empty: `address` if that is one, else
    the address that this host uses towards other networks."""
    hello_limit_s: float = 10.0
    """For TLS and the first message of a connection, and for its answer."""
    invitation_life_s: float = 3600.0
    """How long a token of `qvd node invite` is good for, unless it says otherwise."""
    unauthenticated_per_source: int = 16
    """Connections of one address that have not proved yet to be a node's."""
    unauthenticated_total: int = 128
    """Such connections in all; one more, and the oldest of the address with most goes."""
    connections_max: int = 8192
    """Connections at once; each relayed client has one."""

    def __post_init__(self) -> None:
        """Refuse what cannot serve."""
        if not 0 <= self.port <= 65_535:
            raise ValueError("port must be 0..65535")
        if self.advertise and not _is_address(self.advertise):
            raise ValueError("advertise must be a host name or an IP address, without a port")
        if not 0.1 <= self.hello_limit_s <= 600:
            raise ValueError("hello_limit_s must be 0.1..600 seconds")
        if not 60 <= self.invitation_life_s <= 7 * 86_400:
            raise ValueError("invitation_life_s must be from a minute to a week")
        if (
            not 1
            <= self.unauthenticated_per_source
            <= self.unauthenticated_total
            < self.connections_max
        ):
            raise ValueError(
                "unauthenticated_per_source, unauthenticated_total, connections_max must ascend,"
                " and connections_max must be greater than unauthenticated_total"
            )


def _is_address(word: str) -> bool:
    try:
        ip_address(word)
    except ValueError:
        return is_host_name(word) and not word.startswith("*")
    return True
