"""A second node on the host of the first."""

import asyncio
import shutil

import pytest

from tests.harness.node import NodeProcess, new_node
from tests.harness.node import test_root as state_root

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_node_whose_guests_would_share_ids_refuses_to_start(node: NodeProcess) -> None:
    if node.process is None or node.process.returncode is not None:
        await node.start()
    second = new_node(state_root())
    second.id_base = node.id_base
    try:
        await second.start(wait=False)
        assert second.process is not None
        assert await asyncio.wait_for(second.process.wait(), 30) != 0
        assert f"{node.state_dir} has some of the ids" in second.last_words()
    finally:
        await second.stop()
        shutil.rmtree(second.state_dir)
