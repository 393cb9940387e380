"""Settings of the clients' port: its address, and limits per client and in total."""

from dataclasses import dataclass, field

from qvdnode.proxy.settings import RelaySettings
from qvdnode.tls.core.trusted_proxies import TrustedProxies


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """The `[clients]` section: the port for QVD clients."""

    address: str = "0.0.0.0"
    """Address to listen on; `::` for all of IPv6 and IPv4."""
    port: int = 8443
    """TCP port; 0 takes a free one."""
    proxy_protocol_from: tuple[str, ...] = ()
    """Addresses and networks of load balancers, such as `["10.0.0.0/8"]`. They must begin each
    connection with a PROXY protocol head, version 1 or 2; the node trusts the client address in it
    for limits and logs. A connection from there without a head is closed."""
    head_limit_s: float = 15.0
    """Time for the TLS handshake and the first request head, and for each later head from its
    first byte."""
    idle_limit_s: float = 900.0
    """Time between two requests, and for a client to read its answers. Old clients keep the
    connection open while their user chooses a desktop."""
    farewell_limit_s: float = 5.0
    """Time for a client to read its last answer and to close its side."""
    unauthenticated_per_source: int = 256
    """Connections from one address on which nobody has logged in. In IPv6 a /64 counts as one
    address; a /56 may have four times as many and a /48 sixteen times."""
    unauthenticated_total: int = 1024
    """Connections from all addresses on which nobody has logged in. Beyond this number the node
    closes the oldest one of the address that has most."""
    connections_max: int = 20_000
    """Connections at once; one more is closed."""
    idle_per_user: int = 32
    """Idle connections of one user. Beyond this number the node closes the oldest of them."""
    login_check_s: float = 60.0
    """How long a connection keeps a login before it is checked again."""
    relay: RelaySettings = field(default_factory=RelaySettings)

    def __post_init__(self) -> None:
        """Raise ValueError for values that contradict each other or are out of range."""
        TrustedProxies(self.proxy_protocol_from)
        if not 0 <= self.port <= 65535:
            raise ValueError("port must be 0..65535")
        for name in ("head_limit_s", "idle_limit_s", "farewell_limit_s", "login_check_s"):
            if not 0.1 <= getattr(self, name) <= 86_400:
                raise ValueError(f"{name} must be 0.1..86400 seconds")
        if not 1 <= self.idle_per_user <= 1_000_000:
            raise ValueError("idle_per_user must be 1..1000000")
        if (
            not 1
            <= self.unauthenticated_per_source
            <= self.unauthenticated_total
            <= self.connections_max
        ):
            raise ValueError(
                "unauthenticated_per_source, unauthenticated_total, connections_max must ascend"
            )
