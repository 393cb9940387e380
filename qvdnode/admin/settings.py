"""Settings of the administrators' listener, and its limits for unauthenticated clients."""

from dataclasses import dataclass

from qvdnode.tls.core.trusted_proxies import TrustedProxies


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """The `[admin]` section: the listener for people, REST and metrics."""

    address: str = "0.0.0.0"
    """Address to listen on; `::` for all of IPv6 and IPv4."""
    port: int = 8444
    """TCP port; 0 takes any free one and tells it in node.json."""
    proxy_protocol_from: tuple[str, ...] = ()
    """Addresses and networks of load balancers, such as `["10.0.0.0/8"]`, that begin each
    connection with a PROXY protocol head, version 1 or 2. The client's address in it is believed,
    logged and counted; a connection from there without a head is closed."""
    head_limit_s: float = 15.0
    """For TLS and the first whole request head, and for each later head from its first byte."""
    idle_limit_s: float = 60.0
    """Between two requests, and for a caller to take its answer: scripts and monitors that come
    back later connect again."""
    farewell_limit_s: float = 5.0
    """For a caller to take its last answer and to close its end."""
    unauthenticated_per_source: int = 64
    """Connections of one address on which no valid token has come; a browser opens six."""
    unauthenticated_total: int = 256
    """Such connections in all; one more, and the oldest of the address with most goes."""
    connections_max: int = 512
    """Connections at once; those beyond `unauthenticated_total` are for callers with a token."""

    def __post_init__(self) -> None:
        """Refuse what cannot serve."""
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
