from qvdnode.model.ids import NodeId
from qvdnode.model.seat import Progressed, Viewer, ViewerEvent, ViewerId
from qvdnode.peer.viewer_events import ViewerEvents

HERE, OTHER = NodeId(1), NodeId(2)


def event(node_id: NodeId | None) -> ViewerEvent:
    return Progressed(Viewer(ViewerId("alice"), node_id), "Starting virtual machine")


def test_an_event_goes_to_the_node_of_its_viewer() -> None:
    clients, nodes = list[ViewerEvent](), list[tuple[NodeId, ViewerEvent]]()
    events = ViewerEvents(lambda: HERE, clients.append)
    events.deliver(event(OTHER))  # there are no links yet
    events.to_node = lambda node_id, event: nodes.append((node_id, event))
    for node_id in (HERE, None, OTHER):
        events.deliver(event(node_id))
    assert clients == [event(HERE), event(None)]
    assert nodes == [(OTHER, event(OTHER))]
