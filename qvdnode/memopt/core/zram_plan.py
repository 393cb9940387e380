"""How the compressed swap device is made. Pure."""

from typing import Final

PREFERRED: Final = ("lz4", "zstd", "lzo-rle", "lzo")
"""The fastest to read back comes first: a user waits for it."""
PAGE_BYTES: Final = 4096


def algorithm(offered: str) -> str | None:
    """The one to use of those that the kernel offers, such as `[lzo-rle] lzo lz4`."""
    names = offered.replace("[", "").replace("]", "").split()
    return next((name for name in PREFERRED if name in names), names[0] if names else None)


def size_bytes(memory_mib: int, pct: int) -> int:
    """How much it holds before compression, in whole pages."""
    return memory_mib * 1024 * 1024 * pct // 100 // PAGE_BYTES * PAGE_BYTES
