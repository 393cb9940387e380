"""Freezes one guest and pushes its memory to swap; thaws it, whatever is under way."""

import asyncio  # noqa: TC003 - the annotation names what is stored
from collections.abc import Callable, Coroutine
from typing import Any

from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.vm.core import messages as m
from qvdnode.vm.ports import GuestFreezer


class Hibernation:
    """`spawn` starts a task of the guest's actor, `post` reports a failure to its core."""

    def __init__(
        self,
        freezer: GuestFreezer,
        spawn: Callable[[str, Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        post: Callable[[m.FreezeFailed], None],
    ) -> None:
        self._freezer = freezer
        self._spawn = spawn
        self._post = post
        self._reclaim: asyncio.Task[None] | None = None

    def begin(self, start: int, group: str | None) -> None:
        """Freeze the guest at once; what takes longer runs in a task."""
        if group is None:
            error = HostFailed("guests of this driver cannot be frozen")
            self._post(m.FreezeFailed(start, error))
            return
        try:
            self._freezer.freeze(group)
        except HostFailed as error:
            self._post(m.FreezeFailed(start, error))
        else:
            self._reclaim = self._spawn("reclaim", self._reclaim_memory(start, group))

    def end(self, group: str | None) -> None:
        """Thaw the guest at once; raises HostFailed."""
        if self._reclaim is not None:
            self._reclaim.cancel()
            self._reclaim = None
        if group is not None:
            self._freezer.thaw(group)

    async def _reclaim_memory(self, start: int, group: str) -> None:
        try:
            await self._freezer.reclaim(group)
        except (HostFailed, TimedOut) as error:
            self._post(m.FreezeFailed(start, error))
