"""What the text of a machine's console says about its kernel. Pure.

A guest's root can write to the console, too: this tells people what happened, and decides nothing.
"""

import re
from typing import Final

from qvdnode.model.guest import EndCause, GuestFault

TAIL_LINES: Final = 4
TAIL_MAX: Final = 400
_OOM: Final = re.compile(rb"(?:Out of memory|Memory cgroup out of memory): Killed process")
_BAD: Final = re.compile(r"(?:Kernel panic - not syncing|qvd): (.*)")
_PANIC: Final = re.compile(r"Kernel panic - not syncing: ?(.*)")
_BY_WATCHDOG: Final = "NMI: Not continuing"
"""How the kernel panics when the watchdog of the machine has fired: see kvm_argv.kernel_line."""
_QEMU_SAYS: Final = "qemu_system_shutdown_request "
_PANICKED: Final = "reason=8"
"""What QEMU writes when the kernel has told it by pvpanic: its ShutdownCause guest-panic."""
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")


def killed(text: bytes) -> int:
    """How many programs the guest's kernel has killed for want of memory."""
    return len(_OOM.findall(text))


def end_cause(text: bytes) -> EndCause | None:
    """What ended the machine; None where nothing that is known did."""
    lines = _lines(text)
    for line in lines:
        if (found := _PANIC.search(line)) is None:
            continue
        if _BY_WATCHDOG in found[1]:
            return EndCause(GuestFault.WATCHDOG, "its kernel hung, and its watchdog ended it")
        return EndCause(GuestFault.PANIC, f"its kernel panicked ({found[1][:TAIL_MAX].strip()})")
    if any(line.startswith(_QEMU_SAYS) and _PANICKED in line for line in lines):
        return EndCause(GuestFault.PANIC, "its kernel panicked")
    return None


def verdict(text: bytes) -> str:
    """Why the kernel ended, if it said so, else its last lines; empty when it said nothing."""
    said = _lines(text)
    for line in said:
        if (found := _BAD.search(line)) is not None:
            return found[0][:TAIL_MAX]
    own = [line for line in said if not line.startswith(_QEMU_SAYS)]
    return " / ".join(own[-TAIL_LINES:])[-TAIL_MAX:]


def _lines(text: bytes) -> list[str]:
    lines = [_UNPRINTABLE.sub(" ", line).strip() for line in text.decode("latin-1").splitlines()]
    return [line for line in lines if line]
