"""What the text of a machine's console says about its kernel. Pure.

A guest's root can write to the console, too: this tells people what happened, and decides nothing.
"""

import re
from typing import Final

TAIL_LINES: Final = 4
TAIL_MAX: Final = 400
_OOM: Final = re.compile(rb"(?:Out of memory|Memory cgroup out of memory): Killed process")
_BAD: Final = re.compile(r"(?:Kernel panic - not syncing|qvd): (.*)")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")


def killed(text: bytes) -> int:
    """How many programs the guest's kernel has killed for want of memory."""
    return len(_OOM.findall(text))


def verdict(text: bytes) -> str:
    """Why the kernel ended, if it said so, else its last lines; empty when it said nothing."""
    lines = [_UNPRINTABLE.sub(" ", line).strip() for line in text.decode("latin-1").splitlines()]
    said = [line for line in lines if line]
    for line in said:
        if (found := _BAD.search(line)) is not None:
            return found[0][:TAIL_MAX]
    return " / ".join(said[-TAIL_LINES:])[-TAIL_MAX:]
