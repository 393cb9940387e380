"""Settings of the node's place in the farm."""

from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """The `[cluster]` section: how long a node may own desktops while the database is away."""

    lease_ttl_s: float = 15.0
    """How long a lease lasts after its renewal."""
    lease_renew_s: float = 3.0
    """How often it is renewed."""
    lease_margin_s: float = 2.0
    """How long before its end the node stops relying on it."""
    placement_sample: int = 2
    """How many random nodes are compared for a start."""

    def __post_init__(self) -> None:
        """Raise ValueError for times that leave no room to renew the lease."""
        if min(self.lease_ttl_s, self.lease_renew_s, self.lease_margin_s) <= 0:
            raise ValueError("lease times must be greater than 0")
        if 2 * self.lease_renew_s + self.lease_margin_s > self.lease_ttl_s:
            raise ValueError(
                "lease_ttl_s must leave room for two renewals: at least 2 x lease_renew_s + "
                "lease_margin_s"
            )
        if self.placement_sample < 1:
            raise ValueError("placement_sample must be at least 1")


@dataclass(frozen=True, slots=True)
class GossipSettings:
    """The `[gossip]` section: the port at which nodes tell each other who is up, and their load."""

    address: str = "0.0.0.0"
    """Address to listen on; `::` for IPv6. All nodes of a farm use one of the two."""
    port: int = 8446
    """Port, the same number for UDP and TCP; 0 takes any that is free. Other nodes reach it at the
    host of `peer.advertise`."""

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be listened on."""
        _ = ip_address(self.address)
        if not 0 <= self.port <= 65_535:
            raise ValueError("port must be 0..65535")
