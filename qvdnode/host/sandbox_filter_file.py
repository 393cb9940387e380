"""Hands the filter of system calls of a sandbox to bubblewrap, which reads it from a descriptor."""

import contextlib
import os
import platform
from collections.abc import Iterator

from qvdnode.host.core import sandbox_filter


@contextlib.contextmanager
def opened() -> Iterator[tuple[int, ...]]:
    """The descriptor, for one sandbox; none on a processor for which there is no filter."""
    content = sandbox_filter.program(platform.machine())
    if content is None:
        yield ()
        return
    handle = os.memfd_create("filter", os.MFD_CLOEXEC)
    try:
        os.write(handle, content)
        os.lseek(handle, 0, os.SEEK_SET)
        yield (handle,)
    finally:
        os.close(handle)
