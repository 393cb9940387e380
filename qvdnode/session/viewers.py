"""The clients of this node that wait for a display or are attached to one, by their ids."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from qvdnode.model.ids import NodeId
from qvdnode.model.seat import Evicted, Progress, Progressed, Viewer, ViewerEvent, ViewerId
from qvdnode.session.ports import ClientEnd


@dataclass(frozen=True, slots=True)
class _Client:
    end: ClientEnd
    progress: Progress


class Viewers:
    """Gives events of desktops' hosts to the clients that they are for."""

    def __init__(self, here: Callable[[], NodeId | None]) -> None:
        self._here = here
        self._clients: dict[ViewerId, _Client] = {}

    def enter(self, end: ClientEnd, progress: Progress) -> Viewer:
        """Make a viewer of a client; events for it reach the client until `leave`."""
        viewer = Viewer(ViewerId(secrets.token_hex(16)), self._here())
        self._clients[viewer.id] = _Client(end, progress)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget the client; safe to repeat."""
        _ = self._clients.pop(viewer.id, None)

    def deliver(self, event: ViewerEvent) -> None:
        """Give the event to its client, at once; ignored when that has left."""
        client = self._clients.get(event.viewer.id)
        if client is None:
            return
        match event:
            case Progressed():
                client.progress(event.sentence)
            case Evicted():
                client.end.evict(event.reason)
