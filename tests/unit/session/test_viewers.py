"""Events reach the client that they are for, and no other."""

from qvdnode.model.ids import NodeId
from qvdnode.model.seat import Evicted, Progressed
from qvdnode.session.viewers import Viewers


class Client:
    """A client's end that notes what it gets."""

    def __init__(self) -> None:
        self.got: list[str] = []

    def evict(self, reason: str) -> None:
        self.got.append(f"evicted: {reason}")


def test_events_reach_their_client_in_order() -> None:
    viewers, first, second = Viewers(lambda: NodeId(4)), Client(), Client()
    one = viewers.enter(first, first.got.append)
    two = viewers.enter(second, second.got.append)
    assert one.id != two.id
    assert one.node_id == 4
    viewers.deliver(Progressed(one, "Starting"))
    viewers.deliver(Progressed(two, "Waiting"))
    viewers.deliver(Evicted(one, "taken over"))
    assert first.got == ["Starting", "evicted: taken over"]
    assert second.got == ["Waiting"]


def test_an_event_for_a_client_that_has_left_is_ignored() -> None:
    viewers, client = Viewers(lambda: None), Client()
    viewer = viewers.enter(client, client.got.append)
    viewers.leave(viewer)
    viewers.leave(viewer)
    viewers.deliver(Evicted(viewer, "taken over"))
    viewers.deliver(Progressed(viewer, "Starting"))
    assert client.got == []
