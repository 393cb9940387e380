"""Keeps open file descriptors from being inherited by child processes.

Python marks what it opens itself as closed on exec. What a shell left open, or what a library in C
opens (libnftables its netlink socket), is not marked. host/child.py closes them in each child
anyway; a program that is started by other means would inherit them.
"""

from typing import Final

from qvdnode.host import linux_calls

FIRST_OWN: Final = 3
"""After standard input, output and error."""


def close_to_children() -> None:
    """Mark all descriptors that are open now, but the standard ones, as closed on exec.

    Raises OSError on a kernel before 5.11.
    """
    linux_calls.close_on_exec(FIRST_OWN)
