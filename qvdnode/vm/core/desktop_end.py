"""Why a desktop ended: what its program's exit code means, and the sentence for its user. Pure."""

from typing import Final

from qvdnode.model.errors import FarmError
from qvdnode.vm.core import sentences
from qvdnode.vm.core.lifecycle import GuestEvent

YOUNG_S: Final = 10.0
"""A desktop that ends sooner after its first client came, with an exit code, has failed."""
CANNOT_RUN: Final = frozenset({126, 127})
"""A shell's exit codes for a program that is missing or cannot be run."""
SIGNALLED: Final = 128
"""From here on a shell's exit codes are signals."""


def program_failure(code: int | None, lasted_s: float | None) -> str | None:
    """Why the end of the desktop's program was not a logout; None where it was one.

    `lasted_s` is the time since its first client came, or None where that is not known. A shell's
    session ends with the code of its last command, so a code means something only while the
    desktop is young. A code from 128 on is a signal: somebody ended it.
    """
    if code is None or lasted_s is None or lasted_s >= YOUNG_S or not 0 < code < SIGNALLED:
        return None
    if code in CANNOT_RUN:
        return sentences.PROGRAM_MISSING.format(code=code)
    return sentences.PROGRAM_FAILED.format(code=code, lasted_s=lasted_s)


def end_reason(event: GuestEvent, error: FarmError | None) -> str:
    """The sentence for a user whose guest ends by this event."""
    if error is not None:
        return str(error)
    if event is GuestEvent.DISPLAY_DIED:
        return sentences.LOGGED_OUT
    reason = sentences.EVICTION_REASONS.get(event)
    return sentences.STOPPED if reason is None else f"The desktop was ended: {reason}."
