"""The key of the membership changes on all nodes, and none is cut off at any moment."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from qvdnode.model.errors import Conflict
from qvdnode.peer.enrolment import Rotation
from qvdnode.peer.key_rotation import KeyRotation
from qvdnode.runtime.supervise import Supervisor
from tests.integration.peer.conftest import MakeNode
from tests.integration.peer.peer_farm import PeerNode
from tests.waiting import until

pytestmark = pytest.mark.postgres

NEW = b"n" * 32


class Rings:
    """The keys that each node uses; every node must understand every other one at any moment."""

    def __init__(self) -> None:
        self.used: dict[str, tuple[bytes, ...]] = {}
        self.taken: dict[str, list[int]] = {}

    def take(self, name: str, keys: Sequence[bytes]) -> None:
        """That node uses these keys from now on."""
        self.used[name] = tuple(keys)
        self.taken.setdefault(name, []).append(len(keys))
        for one in self.used.values():
            for other in self.used.values():
                assert one[0] in other, self.used


def rotation_of(node: PeerNode) -> KeyRotation:
    """What the node does for a change."""
    return KeyRotation(node.enrolment, node.nodes, lambda: node.seat, node.clock)


@asynccontextmanager
async def watching(node: PeerNode, rings: Rings) -> AsyncIterator[KeyRotation]:
    """The node, which serves and looks for a change."""
    rotation = rotation_of(node)
    async with Supervisor(node.name) as tasks:
        _ = tasks.essential("keys", rotation.run(lambda keys: rings.take(node.name, keys)))
        yield rotation
    rings.used.pop(node.name, None)


@pytest.fixture
async def three(make_node: MakeNode) -> list[PeerNode]:
    """The nodes of a farm."""
    first = make_node("one")
    await first.enter()
    nodes = [first]
    async with first.serving():
        for name in ("two", "three"):
            node = make_node(name)
            await node.invited_by(first)
            await node.enter()
            nodes.append(node)
    return nodes


async def over(rotation: KeyRotation) -> bool:
    """Whether no key is being changed."""
    return (await rotation.state()).step is Rotation.NONE


async def test_all_nodes_change_the_key_step_by_step(three: list[PeerNode]) -> None:
    rings = Rings()
    one, two, three_ = three
    async with watching(one, rings) as rotation, watching(two, rings):
        await until(lambda: _async(len(rings.used) == 2))
        await rotation.begin(NEW)
        with pytest.raises(Conflict):
            await rotation.begin(b"x" * 32)
        await until(lambda: _waits_for(rotation, "three"), limit_s=10)
        async with watching(three_, rings):
            await until(lambda: over(rotation), limit_s=15, what="the change to end")
            await until(lambda: _async(set(rings.used.values()) == {(NEW,)}), limit_s=10)
    assert rings.taken["one"] == [1, 2, 2, 1]
    assert len(rings.taken["three"]) < 5


async def test_a_node_that_is_away_is_not_waited_for_and_has_the_new_key_when_it_is_back(
    three: list[PeerNode],
) -> None:
    rings = Rings()
    one, two, away = three
    await away.nodes.leave(away.seat.node_id, away.seat.epoch, guests_stay=True)
    async with watching(one, rings), watching(two, rings) as rotation:
        await rotation.begin(NEW)
        await until(lambda: over(rotation), limit_s=15, what="the change to end")
        await until(lambda: _async(set(rings.used.values()) == {(NEW,)}), limit_s=10)
        async with watching(away, rings):
            await until(lambda: _async(rings.used.get("three") == (NEW,)), limit_s=10)


async def test_another_node_goes_on_with_a_change_that_one_began_and_left(
    three: list[PeerNode],
) -> None:
    rings = Rings()
    one, two, last = three
    await rotation_of(one).begin(NEW)
    await one.nodes.leave(one.seat.node_id, one.seat.epoch, guests_stay=True)
    async with watching(two, rings) as rotation, watching(last, rings):
        await until(lambda: over(rotation), limit_s=15, what="the change to end")


async def _async(value: bool) -> bool:
    await asyncio.sleep(0)
    return value


async def _waits_for(rotation: KeyRotation, name: str) -> bool:
    state = await rotation.state()
    return state.step is Rotation.ADDED and state.waits_for == (name,)
