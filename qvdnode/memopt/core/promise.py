"""Decides whether one more guest fits, by promised memory. Pure.

A booting guest does not use its memory yet, so the memory in use now says little about the memory
needed a minute later. Therefore each admitted guest counts with its full memory limit.
"""

from qvdnode.memopt.core.meminfo import HostMemory


def capacity_mib(memory: HostMemory, host_reserve_mib: int, overcommit: float) -> int:
    """Return how much memory may be promised to all guests together."""
    return int(max(memory.total_mib - host_reserve_mib, 0) * overcommit)


def refusal(
    memory_mib: int, unpromised_mib: int, memory: HostMemory, available_floor_mib: int
) -> str | None:
    """Return why a guest of this size does not fit, as a sentence, or None if it fits."""
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
