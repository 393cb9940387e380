"""Divides the file descriptors of the process among its users. Pure.

Descriptors for starting desktops, for the database and for the log are reserved first. The rest is
divided between guests and the ports' connections, so that unauthenticated clients cannot use up
those of the others.
"""

from collections.abc import Mapping
from typing import Final

SHARE_MIN: Final = 64
"""A node does not start with less for any of them."""


def needed(fixed: int, wishes: Mapping[str, int]) -> int:
    """The limit of open files with which everything is as configured."""
    return fixed + sum(wishes.values())


def least(fixed: int, wishes: Mapping[str, int]) -> int:
    """The limit of open files below which a node does not start."""
    return fixed + sum(min(SHARE_MIN, wish) for wish in wishes.values())


def divide(limit: int, fixed: int, wishes: Mapping[str, int]) -> dict[str, int]:
    """Return the share of each: its wish, or an equal part if there is not enough for all.

    A wish below the equal part is granted in full.
    """
    left, shares = max(0, limit - fixed), dict.fromkeys(wishes, 0)
    by_size = sorted(wishes, key=lambda name: wishes[name])
    for place, name in enumerate(by_size):
        shares[name] = min(wishes[name], left // (len(by_size) - place))
        left -= shares[name]
    return shares


def connections(per_source: int, total: int, most: int, allowed: int) -> tuple[int, int, int]:
    """Return a port's limits if `allowed` connections may be open.

    Unauthenticated connections get at most half of them.
    """
    if allowed >= most:
        return per_source, total, most
    unauthenticated = max(1, min(total, allowed // 2))
    return min(per_source, unauthenticated), unauthenticated, max(allowed, unauthenticated + 1)
