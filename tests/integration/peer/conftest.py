"""The loops that these tests run on, and two nodes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.peer.two_nodes import Farm, a_farm
from tests.integration.proxy.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    async with a_farm(tmp_path) as made:
        yield made
