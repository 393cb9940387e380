"""Computes the wait after failed attempts. Pure."""

from typing import Final

FIRST_DELAY_S: Final = 1.0
MAX_DOUBLINGS: Final = 20


def delay_s(failures: int, *, free: int, delay_max_s: float) -> float:
    """Return the wait after that many failures: 0 below `free`, then 1 s, doubling to the limit."""
    if failures < free:
        return 0.0
    return min(FIRST_DELAY_S * 2.0 ** min(failures - free, MAX_DOUBLINGS), delay_max_s)
