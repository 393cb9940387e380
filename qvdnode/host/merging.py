"""Starts programs whose memory the kernel may merge (KSM), with all that they start in turn.

The permission belongs to an address space and is inherited through fork and exec. A child of this
process is made by vfork and shares our address space until its exec (child.py), so it cannot ask
for itself without asking for the node as well, whose memory holds secrets. An interpreter in
between, which replaces itself by the program, costs one exec.
"""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PERL: Final = Path("/usr/bin/perl")
"""Of Debian's perl-base, which is always installed; starts in a millisecond, Python in fifteen."""
_PRCTL: Final = {"x86_64": 157, "aarch64": 167}
_PR_SET_MEMORY_MERGE: Final = 67
_SCRIPT: Final = "syscall({prctl}, {merge}, 1, 0, 0, 0); exec {{ $ARGV[0] }} @ARGV or exit 127;"
KSM_STAT: Final = "ksm_stat"


def obstacle() -> str | None:
    """Why programs cannot be started like that on this host, for a person; None if they can."""
    if platform.machine() not in _PRCTL:
        return f"the number of prctl on {platform.machine()} is not known"
    if not PERL.exists():
        return f"{PERL} is not installed"
    if not Path("/sys/kernel/mm/ksm/run").exists():
        return "the kernel is built without KSM"
    if not Path(f"/proc/self/{KSM_STAT}").exists():
        return "the kernel is older than 6.1 and merges no memory of whole processes"
    return None


def argv(program: Sequence[str | Path]) -> list[str | Path]:
    """What to run in place of `program`; a kernel that knows no merging runs it as it is."""
    script = _SCRIPT.format(prctl=_PRCTL[platform.machine()], merge=_PR_SET_MEMORY_MERGE)
    return [PERL, "-e", script, "--", *program]


def merges(pid: int) -> bool:
    """Whether the process lets its memory be merged; False when it is gone."""
    try:
        text = Path(f"/proc/{pid}/{KSM_STAT}").read_text(encoding="ascii")
    except OSError:
        return False
    return "ksm_merge_any: yes" in text
