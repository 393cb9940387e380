"""Where a start goes that nodes have refused."""

from qvdnode.model.errors import NodeBusy, NodeFull
from qvdnode.model.ids import NodeId
from qvdnode.session.core.redirects import REDIRECTS_MAX, Redirects

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)


def test_it_waits_nowhere_while_no_node_is_busy() -> None:
    redirects = Redirects()
    assert redirects.wait_at() is None
    redirects.add(ONE, NodeFull("full"))
    assert redirects.wait_at() is None
    assert redirects.refused == {ONE: "full"}


def test_it_waits_at_the_shortest_queue_and_then_at_the_first() -> None:
    redirects = Redirects()
    redirects.add(ONE, NodeBusy("busy", waiting=3))
    redirects.add(TWO, NodeBusy("busy", waiting=1))
    redirects.add(THREE, NodeBusy("busy", waiting=1))
    assert redirects.wait_at() == TWO


def test_so_many_refusals_are_enough() -> None:
    redirects = Redirects()
    for number in range(1 + REDIRECTS_MAX):
        assert not redirects.is_enough
        redirects.add(NodeId(number), NodeFull("full"))
    assert redirects.is_enough
