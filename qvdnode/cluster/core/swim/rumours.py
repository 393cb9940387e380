"""The news to spread: at most one rumour per member, each sent a limited number of times."""

from collections.abc import Iterator


class Rumours:
    """Encoded messages by the member they are about; those sent least often go first."""

    def __init__(self) -> None:
        self._by_count: list[dict[str, bytes]] = [{}]
        """Rumours by how often they were sent, in order of arrival."""

    def __len__(self) -> int:
        """Return the number of rumours."""
        return sum(map(len, self._by_count))

    def add(self, name: str, message: bytes) -> None:
        """Add a rumour; it replaces the older one about that member."""
        for waiting in self._by_count:
            waiting.pop(name, None)
        self._by_count[0][name] = message

    def take(self, room_bytes: int, limit: int) -> list[bytes]:
        """Return the rumours for a packet with this room; forget those sent `limit` times."""
        taken: list[bytes] = []
        moved: list[tuple[int, str, bytes]] = []
        for count, name, message in self._waiting():
            if len(message) <= room_bytes:
                room_bytes -= len(message)
                taken.append(message)
                moved.append((count, name, message))
        while len(self._by_count) < limit:
            self._by_count.append({})
        for count, name, message in moved:
            del self._by_count[count][name]
            if count + 1 < limit:
                self._by_count[count + 1][name] = message
        # The limit falls when members leave.
        for waiting in self._by_count[limit:]:
            waiting.clear()
        return taken

    def _waiting(self) -> Iterator[tuple[int, str, bytes]]:
        for count, waiting in enumerate(self._by_count):
            for name in reversed(waiting):
                yield count, name, waiting[name]
