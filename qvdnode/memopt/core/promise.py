"""Decides whether one more guest fits, by promised memory. Pure.

A guest that boots has not used its memory yet, so current use does not tell what is needed a minute
later. Counted is the full size of each admitted guest.
"""

from qvdnode.memopt.core.meminfo import HostMemory


def capacity_mib(memory: HostMemory, host_reserve_mib: int, overcommit: float) -> int:
    """How much may be promised to guests altogether."""
    return int(max(memory.total_mib - host_reserve_mib, 0) * overcommit)


def refusal(
    memory_mib: int, unpromised_mib: int, memory: HostMemory, available_floor_mib: int
) -> str | None:
    """Why a guest of that size does not fit, for a person, or None when it does."""
    if memory_mib > unpromised_mib:
        return (
            f"This node is full: the desktop needs {memory_mib} MiB of memory, "
            f"{max(unpromised_mib, 0)} MiB are not promised to others. "
            "Try again when one has ended."
        )
    if memory.available_mib < available_floor_mib:
        return (
            f"This node is short of memory: only {memory.available_mib} MiB are available now. "
            "Try again in a few minutes."
        )
    return None
