"""A registry between two stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.image.remote import registry
from qvdnode.image.remote.remotes import Remote
from tests.fakes.registry import FakeRegistry, served
from tests.integration.image.remote.meeting import Side, sides


@pytest.fixture
def fake() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PAUSE_S", 0.001)


@pytest.fixture
async def two(fake: FakeRegistry, tmp_path: Path) -> AsyncIterator[tuple[Side, Side]]:
    async with served(fake) as host:
        yield sides(tmp_path, Remote("origin", f"docker://{host}/qvd", plain_http=True))
