"""Computes until when a lease is valid. Pure arithmetic on the node's own monotonic clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to own VMs, until `deadline_s` on this node's monotonic clock."""

    deadline_s: float

    def valid(self, now_s: float) -> bool:
        """Whether the lease is still valid."""
        return now_s < self.deadline_s


def granted(asked_s: float, ttl_s: float, margin_s: float) -> Lease:
    """Return the lease after a successful renewal.

    It is valid from before the request was sent. The database counts from when it ran the request,
    which is later, so this node always stops before another one may take over.
    """
    return Lease(asked_s + ttl_s - margin_s)
