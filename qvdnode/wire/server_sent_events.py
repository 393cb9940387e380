"""Server-sent events (`text/event-stream`): writes and reads them. Pure."""

from dataclasses import dataclass
from typing import Final

EVENT_MAX_BYTES: Final = 64 * 1024
"""A longer line or event ends the reading: no node sends one."""
PING: Final = b": ping\n\n"
"""A comment, which keeps a connection alive; readers ignore it."""


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event."""

    name: str
    data: str
    id: str = ""
    """What a reader sends as `Last-Event-ID` when it connects again; empty for none."""


class BadStream(ValueError):
    """The bytes are not a stream of events that a node sends."""


def encode(event: SentEvent) -> bytes:
    """Return the bytes of an event; raises ValueError for parts that have more than one line."""
    parts = {"id": event.id, "event": event.name, "data": event.data}
    if any(char in value for value in parts.values() for char in "\n\r\0"):
        raise ValueError("each part of an event is one line")
    lines = [f"{field}: {value}\n" for field, value in parts.items() if value or field == "data"]
    return ("".join(lines) + "\n").encode()


class EventReader:
    """Reads a stream piece by piece. Lines may end with a carriage return, too."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, str] = {}
        self._size = 0

    def feed(self, piece: bytes) -> list[SentEvent]:
        """Return the events that this piece completes; raises BadStream."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        events = [event for line in lines if (event := self._line(line)) is not None]
        if self._size + len(self._rest) > EVENT_MAX_BYTES:
            raise BadStream(f"an event of more than {EVENT_MAX_BYTES} bytes")
        return events

    def _line(self, line: bytes) -> SentEvent | None:
        self._size += len(line)
        if self._size > EVENT_MAX_BYTES:
            raise BadStream(f"an event of more than {EVENT_MAX_BYTES} bytes")
        try:
            text = line.decode().removesuffix("\r")
        except UnicodeDecodeError as error:
            raise BadStream("a line that is not UTF-8") from error
        if text:
            field, _, value = text.partition(":")
            self._fields[field] = value.removeprefix(" ")
            return None
        fields, self._fields, self._size = self._fields, {}, 0
        if "data" not in fields:
            return None
        return SentEvent(fields.get("event", "message"), fields["data"], fields.get("id", ""))
