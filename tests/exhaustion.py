"""A process that has used up what it may open."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_to_open_with() -> Iterator[None]:
    """Meanwhile every open of this process fails with EMFILE; what is open stays."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
