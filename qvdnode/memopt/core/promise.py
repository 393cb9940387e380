"""Whether one more guest fits, by what is promised. Pure.

A guest that boots has not touched its memory yet, so what is used now says nothing about what will
be needed in a minute; what counts is the full size of every guest that was let in.
"""

from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.memopt.settings import MemorySettings


def capacity_mib(memory: HostMemory, settings: MemorySettings) -> int:
    """How much may be promised to guests altogether."""
    usable = max(memory.total_mib - settings.host_reserve_mib, 0)
    return int(usable * settings.overcommit)


def refusal(
    memory_mib: int, promised_mib: int, memory: HostMemory, settings: MemorySettings
) -> str | None:
    """Why a guest of that size does not fit, for a person, or None when it does."""
    free = capacity_mib(memory, settings) - promised_mib
    if memory_mib > free:
        return (
            f"This node is full: the desktop needs {memory_mib} MiB of memory, "
            f"{max(free, 0)} MiB are not promised to others. Try again when one has ended."
        )
    if memory.available_mib < settings.available_floor_mib:
        return (
            f"This node is short of memory: only {memory.available_mib} MiB are available now. "
            "Try again in a few minutes."
        )
    return None
