"""Divides the descriptors that the process may open among the node's duties. Pure.

What a start of a desktop, the database and the log need is set aside first. The rest is for what
strangers can make many of, and for guests; where there is too little for all, none of them can
take from the others.
"""

from collections.abc import Mapping
from typing import Final

SHARE_MIN: Final = 64
"""With less for any of those that share, a node is of no use."""


def needed(fixed: int, wishes: Mapping[str, int]) -> int:
    """The limit of open files with which everything is as configured."""
    return fixed + sum(wishes.values())


def least(fixed: int, wishes: Mapping[str, int]) -> int:
    """The limit of open files below which a node does not start."""
    return fixed + sum(min(SHARE_MIN, wish) for wish in wishes.values())


def divide(limit: int, fixed: int, wishes: Mapping[str, int]) -> dict[str, int]:
    """What each gets: its wish, or an equal part of what is left where it is not enough for all.

    Small wishes are granted whole as long as they are within an equal part.
    """
    left, shares = max(0, limit - fixed), dict.fromkeys(wishes, 0)
    by_size = sorted(wishes, key=lambda name: wishes[name])
    for place, name in enumerate(by_size):
        shares[name] = min(wishes[name], left // (len(by_size) - place))
        left -= shares[name]
    return shares


def connections(per_source: int, total: int, most: int, allowed: int) -> tuple[int, int, int]:
    """The limits of a port that may hold so many connections; strangers get half of fewer."""
    if allowed >= most:
        return per_source, total, most
    strangers = max(1, min(total, allowed // 2))
    return min(per_source, strangers), strangers, max(allowed, strangers + 1)
