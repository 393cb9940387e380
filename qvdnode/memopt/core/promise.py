"""Decides whether one more guest fits, by promised memory. Pure.

A guest that boots has not used its memory yet, so current use does not tell what is needed a minute
later. Counted is the full size of each admitted guest, less a share of what is measured to be saved
(credit.py).
"""

from qvdnode.memopt.core.credit import NOTHING_MEASURED, Outlook
from qvdnode.memopt.core.meminfo import HostMemory


def capacity_mib(memory: HostMemory, host_reserve_mib: int, overcommit: float) -> int:
    """How much may be promised to guests altogether."""
    return int(max(memory.total_mib - host_reserve_mib, 0) * overcommit)


def refusal(
    memory_mib: int,
    unpromised_mib: int,
    memory: HostMemory,
    available_floor_mib: int,
    outlook: Outlook = NOTHING_MEASURED,
) -> str | None:
    """Why a guest of that size does not fit, for a person, or None when it does."""
    unpromised_mib += outlook.credit_mib
    available_mib = memory.available_mib - outlook.growth_mib
    if memory_mib > unpromised_mib:
        return (
            f"This node is full: the desktop needs {memory_mib} MiB of memory, "
            f"{max(unpromised_mib, 0)} MiB are not promised to others. "
            "Try again when one has ended."
        )
    if available_mib < available_floor_mib:
        return (
            f"This node is short of memory: only {max(available_mib, 0)} MiB are available now. "
            "Try again in a few minutes."
        )
    return None
