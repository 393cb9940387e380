"""Connections on which nobody has logged in, bounded per source and in total. Pure.

Nobody is turned away: when there are too many, the oldest goes. A real client is through in
milliseconds, so what is old is stalled, and a flood from one source costs only that source.
A request that is being answered does not count, since a login may have to wait for its turn.
"""

from collections.abc import Hashable


class Unfinished:
    """The register of such connections, in the order in which they came."""

    def __init__(self, *, per_source_max: int, total_max: int) -> None:
        self._per_source_max = per_source_max
        self._total_max = total_max
        self._by_source: dict[str, dict[Hashable, None]] = {}
        self._total = 0

    def add(self, connection: Hashable, source: str) -> Hashable | None:
        """Note a new connection; the one to end in return, if there are too many now."""
        mine = self._by_source.setdefault(source, {})
        mine[connection] = None
        self._total += 1
        if len(mine) > self._per_source_max:
            return next(iter(mine))
        if self._total > self._total_max:
            crowded = max(self._by_source, key=lambda name: len(self._by_source[name]))
            return next(iter(self._by_source[crowded]))
        return None

    def remove(self, connection: Hashable, source: str) -> None:
        """Forget a connection that is through, or gone; safe to repeat."""
        mine = self._by_source.get(source)
        if mine is None or connection not in mine:
            return
        del mine[connection]
        self._total -= 1
        if not mine:
            del self._by_source[source]

    def __len__(self) -> int:
        """How many there are."""
        return self._total
