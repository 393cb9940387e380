"""Freezes the guests of a MemoryHost."""

from tests.fakes.memory_driver import MemoryHost


class MemoryFreezer:
    """Satisfies vm.ports.GuestFreezer for guests of a MemoryHost."""

    def __init__(self, host: MemoryHost) -> None:
        self._host = host

    def freeze(self, group: str) -> None:
        """Note it."""
        error = self._host.failing.get("freeze")
        if error is not None:
            raise error
        self._host.frozen.add(group)

    def thaw(self, group: str) -> None:
        """Forget it."""
        self._host.frozen.discard(group)

    def is_frozen(self, group: str) -> bool:
        """Whether it was noted."""
        return group in self._host.frozen

    async def reclaim(self, group: str) -> None:
        """Note it, after a wait if the method is held."""
        held = self._host.held.get("reclaim")
        if held is not None:
            await held.wait()
        error = self._host.failing.get("reclaim")
        if error is not None:
            raise error
        assert group in self._host.frozen, "the memory of a guest that runs was pushed to swap"
        self._host.reclaims.append(group)
