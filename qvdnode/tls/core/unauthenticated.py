"""Connections on which nobody has logged in, bounded per source and in total. Pure.

Nobody is turned away: when there are too many, the oldest goes. A real client is through in
milliseconds, so what is old is stalled, and a flood from one source costs only that source.
A request that is being answered does not count, since a login may have to wait for its turn.
"""

from collections.abc import Hashable

from qvdnode.model.source_network import source_networks


class UnauthenticatedConnections:
    """The table of such connections, in the order in which they came."""

    def __init__(self, *, per_source_max: int, total_max: int) -> None:
        self._per_source_max = per_source_max
        self._total_max = total_max
        self._by_network: dict[str, dict[Hashable, None]] = {}
        self._total = 0

    def add(self, connection: Hashable, address: str) -> Hashable | None:
        """Note a new connection; the one to end in return, if there are too many now."""
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
        """Forget a connection that is through, or gone; safe to repeat."""
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
        """How many there are."""
        return self._total
