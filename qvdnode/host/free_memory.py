"""Gives memory that the program has freed back to the kernel."""

import ctypes
from typing import Final

_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""glibc's; another libc may have none and need none."""


def trim_memory() -> None:
    """malloc_trim(3). Without it glibc keeps freed memory that lies below memory in use.

    Others that allocate wait meanwhile: about 0.3 ms for each MiB that is given back, so call it
    often rather than late.
    """
    if _trim is not None:
        _trim(0)
