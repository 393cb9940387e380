"""Decides which of many equal events are logged: the first at once, the rest as a count. Pure."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Repeat:
    """Events of one kind that share one log line."""

    kind: str
    count: int
    sources: tuple[str, ...]
    """Some of their sources."""
    because: str
    """The reason of the last one."""


@dataclass(slots=True)
class _Window:
    ends_s: float
    count: int = 0
    sources: dict[str, None] = field(default_factory=dict)
    because: str = ""


class Repeats:
    """At most one line per kind in every `window_s` seconds; the number of kinds is the code's."""

    def __init__(self, *, window_s: float, sources_max: int) -> None:
        self._window_s = window_s
        self._sources_max = sources_max
        self._windows: dict[str, _Window] = {}

    def note(self, kind: str, source: str, because: str, now_s: float) -> Repeat | None:
        """Count an event; returns what to log now if it is the first of its window."""
        window = self._windows.get(kind)
        if window is None:
            self._windows[kind] = _Window(now_s + self._window_s)
            return Repeat(kind, 1, (source,), because)
        window.count += 1
        window.because = because
        if len(window.sources) < self._sources_max:
            window.sources[source] = None
        return None

    def due(self, now_s: float) -> list[Repeat]:
        """Return what to log of windows that have ended; call it periodically."""
        ended = [kind for kind, window in self._windows.items() if window.ends_s <= now_s]
        return [repeat for kind in ended if (repeat := self._end(kind, now_s)) is not None]

    def _end(self, kind: str, now_s: float) -> Repeat | None:
        window = self._windows.pop(kind)
        if window.count == 0:
            return None
        self._windows[kind] = _Window(now_s + self._window_s)
        return Repeat(kind, window.count, tuple(window.sources), window.because)
