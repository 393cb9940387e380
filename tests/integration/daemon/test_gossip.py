"""The membership of nodes, as the daemon runs it: on loopback, with directories in memory."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from qvdnode.cluster.core.placement import Load
from qvdnode.cluster.gossip_port import GossipPort
from qvdnode.daemon import gossip
from qvdnode.daemon.gossip import EPOCH_FILE, Gossip, TakeKeys
from qvdnode.model.errors import Unavailable
from qvdnode.model.farm import Drain
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.peer.directory import Directory, Peer
from qvdnode.peer.farm_files import NodeAddress
from qvdnode.runtime.clock import SystemClock
from tests.unit.cluster.core.test_placement import node
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from qvdnode.peer.own_identity import OwnIdentity

LOOPBACK = "127.0.0.1"
FARM = FarmId("farm")


@dataclass
class Member:
    """As much of peer.farm_files.FarmMember as the membership reads."""

    farm_id: FarmId = field(default=FARM)
    farm_key: bytes = bytes(32)


@dataclass
class Own:
    """As much of peer.own_identity.OwnIdentity."""

    node_id: NodeId
    ready: bool = True
    member: Member = field(default_factory=Member)


class Rows:
    """As much of peer.directory.Directory: what the nodes of one farm read."""

    def __init__(self) -> None:
        self.peers: dict[NodeId, Peer] = {}
        self.drained = set[NodeId]()
        self.removed = set[NodeId]()
        self._changed: list[Callable[[], None]] = []

    def all(self) -> tuple[Peer, ...]:
        return tuple(self.peers.values())

    def drain(self, node_id: NodeId) -> Drain:
        return Drain.STAY if node_id in self.drained else Drain.NO

    def removed_nodes(self) -> frozenset[NodeId]:
        return frozenset(self.removed)

    def remove(self, node_id: NodeId) -> None:
        del self.peers[node_id]
        self.removed.add(node_id)
        for call in self._changed:
            call()

    def on_change(self, call: "Callable[[], None]") -> None:
        self._changed.append(call)

    def put(self, node_id: NodeId, port: int) -> None:
        address = NodeAddress(node_id, LOOPBACK, 1, b"key")
        self.peers[node_id] = Peer(address, f"n{node_id}", serves=True, gossip_port=port)
        for call in self._changed:
            call()


@dataclass
class Figures:
    """The node's own load."""

    load: Load

    def loads(self) -> list[Load]:
        return [self.load]


class Farm:
    """Nodes on one machine."""

    def __init__(self, folder: Path) -> None:
        self.rows = Rows()
        self.folder = folder
        self.away = False

    async def keys(self, number: int, removed: Collection[NodeId]) -> tuple[bytes, ...]:
        """A removed node is refused the database, and keeps the keys that it has."""
        if self.away or number in removed:
            raise Unavailable("The database is away.")
        return (bytes([*removed, *bytes(32)][:32]),)

    async def watch_keys(self, take: TakeKeys) -> None:
        """They stay as they are."""
        await asyncio.Event().wait()

    def make(self, number: int) -> tuple[Gossip, Figures, Own]:
        """A node, not started, and its row."""
        port = GossipPort.open(LOOPBACK, 0)
        own, figures = Own(NodeId(number)), Figures(node(number, guests=number))
        folder = self.folder / str(number)
        folder.mkdir(exist_ok=True)
        gossip = Gossip(
            port, LOOPBACK, folder, cast("OwnIdentity", own), partial(self.keys, number),
            cast("Directory", self.rows), figures, SystemClock(), self.watch_keys,
        )  # fmt: skip
        self.rows.put(NodeId(number), port.number)
        return gossip, figures, own


@asynccontextmanager
async def running(gossip: Gossip) -> AsyncIterator[Gossip]:
    task = asyncio.ensure_future(gossip.run())
    try:
        yield gossip
    finally:
        task.cancel()
        await asyncio.wait([task])


def guests(gossip: Gossip) -> dict[int, int]:
    return {load.node_id: load.guests for load in gossip.loads()}


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    return Farm(tmp_path)


async def test_nodes_know_the_load_of_each_other(farm: Farm) -> None:
    (one, figures, _), (two, _, _) = farm.make(1), farm.make(2)
    assert guests(one) == {1: 1}
    async with running(one), running(two):
        await until(lambda: guests(one) == guests(two) == {1: 1, 2: 2}, limit_s=30)
        figures.load = replace(figures.load, guests=7)
        await until(lambda: guests(two) == {1: 7, 2: 2}, limit_s=30)
        assert all(load.age_s < 10 and not load.suspect for load in two.loads())


async def test_a_node_that_leaves_is_forgotten_at_once(farm: Farm) -> None:
    (one, _, _), (two, _, _) = farm.make(1), farm.make(2)
    async with running(one):
        async with running(two):
            await until(lambda: guests(one) == {1: 1, 2: 2}, limit_s=30)
        await until(lambda: guests(one) == {1: 1}, limit_s=30)


async def test_a_node_that_joins_later_is_looked_for(farm: Farm) -> None:
    one, _, _ = farm.make(1)
    async with running(one):
        await until((farm.folder / "1" / EPOCH_FILE).exists)
        two, _, _ = farm.make(2)
        async with running(two):
            await until(lambda: guests(one) == {1: 1, 2: 2}, limit_s=30)


async def test_a_removed_node_gets_no_starts(farm: Farm) -> None:
    """It may still know the key, and speak."""
    (one, _, _), (two, _, _) = farm.make(1), farm.make(2)
    async with running(one), running(two):
        await until(lambda: guests(one) == {1: 1, 2: 2}, limit_s=30)
        del farm.rows.peers[NodeId(2)]
        assert guests(one) == {1: 1}


async def test_what_a_removed_node_says_counts_no_more(farm: Farm) -> None:
    """It could tell the others lies about each other, with the key that it had."""
    (one, figures, _), (two, _, _), (three, _, _) = (farm.make(number) for number in (1, 2, 3))
    async with running(one), running(two), running(three):
        await until(lambda: guests(one) == guests(two) == {1: 1, 2: 2, 3: 3}, limit_s=30)
        await until(lambda: guests(three) == {1: 1, 2: 2, 3: 3}, limit_s=30)
        farm.rows.remove(NodeId(3))
        for number in (7, 8, 9):  # each is told to all members, by those that hear it too
            figures.load = replace(figures.load, guests=number, guests_max=100 + number)
            await until(lambda: guests(two).get(1) == figures.load.guests, limit_s=30)
        assert guests(three).get(1) not in {8, 9}
        await until(lambda: not any(load.suspect for load in one.loads()), limit_s=30)


async def test_it_waits_for_the_certificate_and_the_keys(farm: Farm) -> None:
    (one, _, own), (two, _, _) = farm.make(1), farm.make(2)
    own.ready, farm.away = False, True
    async with running(one), running(two):
        assert guests(one) == {1: 1}
        own.ready, farm.away = True, False
        await until(lambda: guests(one) == {1: 1, 2: 2}, limit_s=30)


async def test_each_start_has_a_higher_epoch(farm: Farm) -> None:
    file = farm.folder / "1" / EPOCH_FILE
    for epoch in ("1", "2"):
        one, _, _ = farm.make(1)
        async with running(one):
            await until(partial(has, file, epoch))


def has(file: Path, text: str) -> bool:
    return file.exists() and file.read_text().strip() == text


async def test_a_node_that_has_just_joined_waits_for_the_load_of_the_others(farm: Farm) -> None:
    (one, _, own), (two, _, _) = farm.make(1), farm.make(2)
    own.ready = False
    async with running(one):
        assert not await one.hears_more(), "it has not joined"
        own.ready = True
        assert await until(one.hears_more)
        async with running(two):
            while await one.hears_more():
                pass
            assert guests(one) == {1: 1, 2: 2}


async def test_a_node_does_not_wait_for_ever_for_one_that_is_silent(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gossip, "HEARING_S", 0.3)
    (one, _, _), (two, _, _) = farm.make(1), farm.make(2)
    async with running(one):
        assert await until(one.hears_more)
        while await one.hears_more():
            pass
    assert guests(one) == {1: 1}
    two._port.close()
