"""Parses nxagent's log into events of the display.

The guest writes this file, so it may hold anything: lines other than the known ones are skipped,
and a line longer than LINE_MAX bytes is dropped.
"""

from typing import Final

from qvdnode.vm.core.display import DisplayEvent as E

LINE_MAX: Final = 4096

SENTENCES: Final[tuple[tuple[bytes, E], ...]] = (
    (b"Session: Starting session at", E.BEGINS),
    (b"Session: Resuming session at", E.BEGINS),
    # Only this line means that the port is open; the ones above come before.
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
    """Takes the log in pieces of any size; keeps an unfinished line."""

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
