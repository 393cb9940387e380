"""Reads what the kernel tells of a control group's memory and processor time. Pure.

A number that is missing counts as 0: kernels leave out what they were built or booted without.
"""

from qvdnode.model.guest import GuestMemory


def of_version_2(
    stat: str, cpu: str, used_bytes: int, limit_bytes: int, swapped_bytes: int
) -> GuestMemory:
    """Return what memory.stat, cpu.stat and the numbers of other files say."""
    found = _numbers(stat)
    shared = found.get("shmem", 0)
    return GuestMemory(
        used_bytes=used_bytes,
        limit_bytes=limit_bytes,
        anon_bytes=found.get("anon", 0) + shared,
        cache_bytes=max(found.get("file", 0) - shared, 0),
        swapped_bytes=swapped_bytes,
        cpu_us=_numbers(cpu).get("usage_usec", 0),
        refaults=found.get("workingset_refault_anon", 0),
    )


def of_version_1(stat: str, used_bytes: int, limit_bytes: int, cpu_ns: int) -> GuestMemory:
    """Return what memory.stat and the numbers of other files say."""
    found = _numbers(stat)
    shared = found.get("total_shmem", 0)
    return GuestMemory(
        used_bytes=used_bytes,
        limit_bytes=limit_bytes,
        anon_bytes=found.get("total_rss", 0) + shared,
        cache_bytes=max(found.get("total_cache", 0) - shared, 0),
        swapped_bytes=found.get("total_swap", 0),
        cpu_us=cpu_ns // 1000,
        refaults=found.get("total_workingset_refault_anon", 0),
    )


def _numbers(text: str) -> dict[str, int]:
    words = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and _is_number(pair[1])}


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()
