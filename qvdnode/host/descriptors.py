"""Open descriptors, kept from the programs that a process starts.

Python marks what it opens itself as closed on exec. What a shell left open, or what a library in C
opens (libnftables its netlink socket), is not marked, and a child would inherit it: uvloop, unlike
the subprocess module, does not close descriptors in a child.
"""

from collections.abc import Iterable
from typing import Final

from qvdnode.host import linux_calls

FIRST_OWN: Final = 3
"""After standard input, output and error."""


def close_to_children(keep: Iterable[int] = ()) -> None:
    """Mark all open descriptors but the standard ones and `keep` as closed on exec.

    Runs in a forked child as well: it calls the kernel and nothing else. Raises OSError on a kernel
    before 5.11.
    """
    first = FIRST_OWN
    for kept in sorted(keep):
        if kept > first:
            linux_calls.close_range_on_exec(first, kept - 1)
        first = max(first, kept + 1)
    linux_calls.close_range_on_exec(first)
