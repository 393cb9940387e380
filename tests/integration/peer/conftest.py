"""The loops that these tests run on, and two nodes."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from qvdnode.db.pool import Database
from tests.integration.peer.peer_farm import PeerNode
from tests.integration.peer.two_nodes import Farm, a_farm
from tests.integration.proxy.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    async with a_farm(tmp_path) as made:
        yield made


MakeNode = Callable[[str], PeerNode]


@pytest.fixture
def make_node(database: Database, tmp_path: Path) -> Iterator[MakeNode]:
    """Makes nodes that have joined nothing yet."""
    with ExitStack() as stack:

        def make(name: str) -> PeerNode:
            node = PeerNode(name, tmp_path / name, database)
            stack.callback(node.listener.close)
            return node

        yield make


@pytest.fixture
async def first(make_node: MakeNode) -> AsyncIterator[PeerNode]:
    """The first node of a farm, which serves."""
    node = make_node("one")
    await node.enter()
    async with node.serving():
        yield node


@pytest.fixture
async def second(first: PeerNode, make_node: MakeNode) -> AsyncIterator[PeerNode]:
    """A node that the first one has invited, which serves."""
    node = make_node("two")
    await node.invited_by(first)
    async with AsyncExitStack() as stack:
        await node.enter()
        await first.directory.refresh()
        await stack.enter_async_context(node.serving())
        yield node
