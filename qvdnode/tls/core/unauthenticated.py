"""Limits connections without a login, per source and in total. Pure.

No new connection is refused: when there are too many, the oldest is closed. A real client logs in
within milliseconds, so an old one is stalled, and a flood from one source closes only connections
of that source. A connection whose request is being answered does not count, since a login may have
to wait for its turn.
"""

from collections.abc import Hashable

from qvdnode.model.source_network import source_networks


class UnauthenticatedConnections:
    """The table of connections without a login, the oldest first."""

    def __init__(self, *, per_source_max: int, total_max: int) -> None:
        self._per_source_max = per_source_max
        self._total_max = total_max
        self._by_network: dict[str, dict[Hashable, None]] = {}
        self._total = 0

    def add(self, connection: Hashable, address: str) -> Hashable | None:
        """Add a connection; returns the one to close if there are too many now."""
        crowded: dict[Hashable, None] | None = None
        for network in source_networks(address):
            inside = self._by_network.setdefault(network.name, {})
            inside[connection] = None
            if crowded is None and len(inside) > self._per_source_max * network.multiplier:
                crowded = inside
        self._total += 1
        if crowded is None and self._total > self._total_max:
            crowded = max(self._by_network.values(), key=len)
        return None if crowded is None else next(iter(crowded))

    def remove(self, connection: Hashable, address: str) -> None:
        """Remove a connection that has logged in or closed; safe to repeat."""
        networks = source_networks(address)
        if connection not in self._by_network.get(networks[0].name, {}):
            return
        self._total -= 1
        for network in networks:
            inside = self._by_network[network.name]
            del inside[connection]
            if not inside:
                del self._by_network[network.name]

    def __len__(self) -> int:
        """Number of connections in the table."""
        return self._total
