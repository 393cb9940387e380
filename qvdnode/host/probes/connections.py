"""How many connections the kernel's packet filter remembers at most."""

from pathlib import Path
from typing import Final

LIMIT: Final = Path("/proc/sys/net/netfilter/nf_conntrack_max")


def capacity(limit: Path = LIMIT) -> int | None:
    """Most connections of all guests and the host; None while connection tracking is not loaded."""
    try:
        return int(limit.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
