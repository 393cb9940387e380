"""The fleet of these tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.vm.fleet_world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A fleet that runs, on fakes, with 29 stopped VMs."""
    world = World(tmp_path)
    world.farm.add(*range(1, 30))
    async with world.node():
        yield world
