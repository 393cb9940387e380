"""Parses nxagent's log into events of the display.

The guest writes this file, so it may hold anything. A sentence counts wherever it stands: some
versions of nxagent leave out the end of the line before it (3.5.99.27, after a resume), others may
leave it out behind.
"""

import re
from typing import Final

from qvdnode.vm.core.display import DisplayEvent as E

SENTENCES: Final[dict[bytes, E]] = {
    b"Session: Starting session at": E.BEGINS,
    b"Session: Resuming session at": E.BEGINS,
    # Only this sentence means that the port is open; the ones above come before.
    b"Info: Waiting for connection from": E.LISTENS,
    b"Session: Session started at": E.CONNECTED,
    b"Session: Session resumed at": E.CONNECTED,
    b"Session: Suspending session at": E.SUSPENDS,
    b"Session: Session suspended at": E.SUSPENDED,
    b"Session: Terminating session at": E.ENDS,
    b"Session: Aborting session at": E.ENDS,
    b"Session: Session terminated at": E.GONE,
    b"Session: Session aborted at": E.GONE,
}
_ANY: Final = re.compile(b"|".join(map(re.escape, SENTENCES)))
KEPT_MAX: Final = max(map(len, SENTENCES)) - 1
"""Bytes that can be the start of a sentence whose end has not come yet."""


class LogParser:
    """Takes the log in pieces of any size; keeps what may be the start of a sentence."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[E]:
        """The events of the sentences that this piece completes."""
        text = self._rest + piece
        found = list(_ANY.finditer(text))
        rest = text[found[-1].end() :] if found else text
        self._rest = rest[-KEPT_MAX:]
        return [SENTENCES[match[0]] for match in found]

    def restart(self) -> None:
        """Forget the start of a sentence: the log was replaced."""
        self._rest = b""
