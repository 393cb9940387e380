"""The limit of open files of this process."""

import resource
from typing import Final

WANTED: Final = 65_536
"""What the unit file gives. Not all of a larger hard limit: children inherit it, and some programs
close every descriptor up to it one by one."""


def limit_to_expect() -> int:
    """Return what `raise_limit` would set, without a change."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft, min(WANTED, hard)) if hard != resource.RLIM_INFINITY else max(soft, WANTED)


def raise_limit() -> int:
    """Raise the soft limit as far as is wanted and allowed; the limit from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = limit_to_expect()
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit
