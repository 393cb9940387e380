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


@pytest.fixture(autouse=True)
def no_mistakes(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose node made a mistake, unless the test is about that."""
    yield
    told = {record.getMessage() for record in caplog.get_records("call")}
    about_mistakes = request.path.name == "test_fleet_mistakes.py"
    assert about_mistakes or not told & {"vm_message_failed", "task_failed"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A fleet that runs, on fakes, with 29 stopped VMs."""
    world = World(tmp_path)
    world.farm.add(*range(1, 30))
    async with world.node():
        yield world
