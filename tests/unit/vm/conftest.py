"""The fleet of these tests. What its cores did is replayed after every test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.unit.vm.fleet_world import World
from tests.unit.vm.replay import Life, recorded


@pytest.fixture(autouse=True)
def lives(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Life]]:
    """The cores of the test so far."""
    with recorded(monkeypatch) as lives:
        yield lives


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A fleet that runs, on fakes, with 29 stopped VMs."""
    world = World(tmp_path)
    world.farm.add(*range(1, 30))
    async with world.node():
        yield world
