"""Tells the other nodes which desktops this one runs.

Each node that has a connection for calls to this one is told all of them once, and then what has
changed. In a large farm changes are gathered for longer: a storm of logins costs few frames then.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from qvdnode.model.ids import NodeId
from qvdnode.peer import calls
from qvdnode.peer.frame_link import FrameLink
from qvdnode.peer.running_desktops import Running, news, running_of
from qvdnode.runtime.clock import Clock
from qvdnode.vm.status import GuestStatus
from qvdnode.wire.peer_frames import Notice
from qvdnode.wire.typed_values import to_plain

EVERY_S: Final = 1.0
NODES_PER_S: Final = 25
"""Above so many nodes, changes are gathered for a second more for each so many."""


class DesktopTeller:
    """`run` must be running."""

    def __init__(
        self,
        statuses: Callable[[], Awaitable[Sequence[GuestStatus]]],
        links: Mapping[NodeId, FrameLink],
        clock: Clock,
    ) -> None:
        """`links` are the connections that other nodes have made to this one."""
        self._statuses = statuses
        self._links = links
        self._clock = clock
        self._told: WeakKeyDictionary[FrameLink, Running] = WeakKeyDictionary()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            if self._links:
                self.tell(running_of(await self._statuses()))
            await self._clock.sleep(max(EVERY_S, len(self._links) / NODES_PER_S))

    def tell(self, running: Running) -> None:
        """Tell each node what it does not know of these."""
        for link in list(self._links.values()):
            changes = news(self._told.get(link), running)
            if not changes.is_empty:
                link.send(Notice(calls.DESKTOPS, to_plain(changes)))
                self._told[link] = running
