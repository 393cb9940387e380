"""Events that anybody can cause as often as they like: counted each, logged a few times."""

import logging
from collections.abc import Callable
from typing import Final

from qvdnode.telemetry.core.repeats import Repeat, Repeats
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)

PORT_EVENTS: Final = Counter(
    "qvdnode_port_events",
    "What strangers did at a port, and refused requests of users, by what it was",
    ["port", "event"],
)
WINDOW_S: Final = 10.0
"""A flood then makes six lines a minute for each kind of event."""
SOURCES_MAX: Final = 3


class RepeatedEvents:
    """The events of one port."""

    def __init__(self, port: str, now_s: Callable[[], float]) -> None:
        self._port = port
        self._now_s = now_s
        self._repeats = Repeats(window_s=WINDOW_S, sources_max=SOURCES_MAX)

    def note(self, event: str, source: str, because: str = "") -> None:
        """Count the event; log it if there was none of its name for a while."""
        PORT_EVENTS.labels(self._port, event).inc()
        repeat = self._repeats.note(event, source, because, self._now_s())
        if repeat is not None:
            self._write(repeat)

    def flush(self) -> None:
        """Log what has been counted long enough; call it every second or so."""
        for repeat in self._repeats.due(self._now_s()):
            self._write(repeat)

    def _write(self, repeat: Repeat) -> None:
        facts = {"port": self._port, "count": repeat.count, "sources": ", ".join(repeat.sources)}
        if repeat.because:
            facts["because"] = repeat.because
        log.info(repeat.kind, extra=facts)
