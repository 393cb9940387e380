"""Whose memory may be merged with whose. Pure.

Merged memory tells by its timing that somebody else has the same page. The kernel merges among all
processes that allow it: it knows no groups. So tenants are kept apart by who is let in at all: with
`tenant`, only guests of one tenant allow it at a time, and those of all others keep their memory to
themselves.
"""

from collections.abc import Collection
from enum import StrEnum

from qvdnode.model.ids import TenantId


class Merging(StrEnum):
    """Which guests of a node allow the kernel to merge their memory."""

    OFF = "off"
    TENANT = "tenant"
    ALL = "all"


def may_merge(policy: Merging, tenant: TenantId, merging: Collection[TenantId]) -> bool:
    """Whether a guest of that tenant may; `merging` are the tenants of the guests that do."""
    if policy is Merging.TENANT:
        return all(other == tenant for other in merging)
    return policy is Merging.ALL
