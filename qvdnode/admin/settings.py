"""Settings of the admin port, and its limits for unauthenticated clients."""

from dataclasses import dataclass

from qvdnode.tls.core.trusted_proxies import TrustedProxies


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """The `[admin]` section: the port for administrators: REST, probes and metrics."""

    address: str = "0.0.0.0"
    """Address to listen on; `::` for all of IPv6 and IPv4."""
    port: int = 8444
    """TCP port; 0 takes a free one, and node.json has its number."""
    proxy_protocol_from: tuple[str, ...] = ()
    """Addresses and networks of load balancers, such as `["10.0.0.0/8"]`. They must begin each
    connection with a PROXY protocol head, version 1 or 2; the node trusts the client address in it
    for limits and logs. A connection from there without a head is closed."""
    head_limit_s: float = 15.0
    """Time for the TLS handshake and the first request head, and for each later head from its
    first byte."""
    idle_limit_s: float = 60.0
    """Time between two requests, and for a client to read its answer. A client that sends its next
    request later connects again."""
    farewell_limit_s: float = 5.0
    """Time for a client to read its last answer and to close its side."""
    unauthenticated_per_source: int = 64
    """Connections from one address without a valid token yet; a browser opens six."""
    unauthenticated_total: int = 256
    """Connections without a valid token yet, from all addresses. Beyond this number the node closes
    the oldest one of the address that has most."""
    connections_max: int = 512
    """Connections at once; those beyond `unauthenticated_total` are for clients with a token."""

    def __post_init__(self) -> None:
        """Raise ValueError for values that contradict each other or are out of range."""
        TrustedProxies(self.proxy_protocol_from)
        if not 0 <= self.port <= 65_535:
            raise ValueError("port must be 0..65535")
        for name in ("head_limit_s", "idle_limit_s", "farewell_limit_s"):
            if not 0.1 <= getattr(self, name) <= 3_600:
                raise ValueError(f"{name} must be 0.1..3600 seconds")
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
