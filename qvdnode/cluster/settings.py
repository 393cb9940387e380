"""Settings of the node's place in the farm."""

from dataclasses import dataclass


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
