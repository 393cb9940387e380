"""nxagent's log, line by line, as events of the display.

The guest writes this file, so it may hold anything: what is not one of nxagent's own sentences is
skipped, and a line without end is forgotten beyond LINE_MAX bytes.
"""

from typing import Final

from qvdnode.vm.core.display import DisplayEvent as E

LINE_MAX: Final = 4096

SENTENCES: Final[tuple[tuple[bytes, E], ...]] = (
    (b"Session: Starting session at", E.BEGINS),
    (b"Session: Resuming session at", E.BEGINS),
    # The line above comes before the port is open; only this one means that a client may dial.
    (b"Info: Waiting for connection from", E.LISTENS),
    (b"Session: Session started at", E.CONNECTED),
    (b"Session: Session resumed at", E.CONNECTED),
    (b"Session: Suspending session at", E.SUSPENDS),
    (b"Session: Session suspended at", E.SUSPENDED),
    (b"Session: Terminating session at", E.ENDS),
    (b"Session: Aborting session at", E.ENDS),
    (b"Session: Session terminated at", E.GONE),
    (b"Session: Session aborted at", E.GONE),
)


class LogParser:
    """Takes the log in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, piece: bytes) -> list[E]:
        """The events of the lines that this piece completes."""
        *lines, rest = (self._rest + piece).split(b"\n")
        events = []
        for line in lines:
            event = None if self._skipping else _event(line)
            self._skipping = False
            if event is not None:
                events.append(event)
        if len(rest) > LINE_MAX:
            self._skipping, rest = True, b""
        self._rest = b"" if self._skipping else rest
        return events

    def restart(self) -> None:
        """Forget an unfinished line: the log was replaced."""
        self._rest, self._skipping = b"", False


def _event(line: bytes) -> E | None:
    return next((event for sentence, event in SENTENCES if line.startswith(sentence)), None)
