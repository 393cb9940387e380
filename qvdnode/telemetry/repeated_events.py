"""Counts events that clients can cause without limit, and logs only a few of them."""

import logging
from collections.abc import Callable
from typing import Final

from qvdnode.telemetry.core.repeats import Repeat, Repeats
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)

PORT_EVENTS: Final = Counter(
    "qvdnode_port_events",
    "Events of unauthenticated clients at a port, and refused requests, by event",
    ["port", "event"],
)
WINDOW_S: Final = 10.0
"""A flood then causes six log lines a minute for each kind of event."""
SOURCES_MAX: Final = 3


class RepeatedEvents:
    """The events of one port."""

    def __init__(self, port: str, now_s: Callable[[], float]) -> None:
        self._port = port
        self._now_s = now_s
        self._repeats = Repeats(window_s=WINDOW_S, sources_max=SOURCES_MAX)

    def note(self, event: str, source: str, because: str = "") -> None:
        """Count the event; log it if none of its name was logged lately."""
        PORT_EVENTS.labels(self._port, event).inc()
        repeat = self._repeats.note(event, source, because, self._now_s())
        if repeat is not None:
            self._write(repeat)

    def flush(self) -> None:
        """Log the counts of ended windows; call it about once a second."""
        for repeat in self._repeats.due(self._now_s()):
            self._write(repeat)

    def _write(self, repeat: Repeat) -> None:
        facts = {"port": self._port, "count": repeat.count, "sources": ", ".join(repeat.sources)}
        if repeat.because:
            facts["because"] = repeat.because
        log.info(repeat.kind, extra=facts)
