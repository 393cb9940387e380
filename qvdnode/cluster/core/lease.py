"""How long a node may trust its lease. Pure arithmetic on the node's own monotonic clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to own VMs, until `deadline_s` on this node's monotonic clock."""

    deadline_s: float

    def valid(self, now_s: float) -> bool:
        """Whether it may still be relied on."""
        return now_s < self.deadline_s


def granted(asked_s: float, ttl_s: float, margin_s: float) -> Lease:
    """The lease that a successful renewal gives.

    It counts from before the request was sent: the database counts from when it was carried out,
    which is later, so this node always stops before others may take over.
    """
    return Lease(asked_s + ttl_s - margin_s)
