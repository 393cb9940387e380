"""What a node remembers of those that it could not reach."""

import pytest

from qvdnode.db.nodes import NodePorts
from qvdnode.model.errors import Unavailable
from qvdnode.peer.dialer import PAUSE_MOST_S, Contact
from qvdnode.peer.ports import Purpose
from tests.integration.peer.peer_farm import LOOPBACK, PeerNode, echoed

pytestmark = pytest.mark.postgres


async def test_a_contact_is_remembered_with_its_reason(first: PeerNode, second: PeerNode) -> None:
    there = second.seat.node_id
    assert first.dialer.contact(there) is None
    assert await echoed(first, second) == b"ping"
    contact = first.dialer.contact(there)
    assert contact is not None
    assert (contact.problem, contact.warning) == (None, None)


async def test_a_node_that_is_away_is_not_tried_by_everybody(
    first: PeerNode, second: PeerNode
) -> None:
    """Others get the reason at once, until the pause is over; then it is reached again."""
    there = second.seat.node_id
    await first.nodes.join("two", "boot-1", LOOPBACK, ports=NodePorts(peer=1), node_id=there)
    await first.directory.refresh()
    for _ in range(3):
        with pytest.raises(Unavailable, match="cannot be reached: Connection refused"):
            await first.dialer.dial(there, Purpose.CALLS)
    contact = first.dialer.contact(there)
    assert contact is not None
    assert contact.failures == 1


def test_the_pause_grows_to_a_limit() -> None:
    pauses = [Contact(0.0, "away", failures=count).pause_s() for count in (1, 2, 3, 50)]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[1]
    assert pauses[-1] == PAUSE_MOST_S
