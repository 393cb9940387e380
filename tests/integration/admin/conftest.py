"""REST on a real PostgreSQL, with a fleet and an importer that only pretend."""

import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from qvdnode.admin.app import build_app
from qvdnode.admin.parts import AdminParts
from qvdnode.db.pool import Database
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.telemetry.logs import JsonFormatter
from tests.fakes.fleet import FakeFleet
from tests.fakes.importer import FakeImporter
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.parts_for_tests import NotReady, make_parts
from tests.integration.admin.sample_farm import SampleFarm, make_sample_farm

pytestmark = pytest.mark.postgres


@pytest.fixture
def fleet() -> FakeFleet:
    """The node's fleet."""
    return FakeFleet()


@pytest.fixture
def importer() -> FakeImporter:
    """The node's importer."""
    return FakeImporter()


@pytest.fixture
def not_ready() -> NotReady:
    """Why no desktop can be started; tests set its `reason`."""
    return NotReady()


@pytest.fixture
async def parts(
    database: Database,
    fleet: FakeFleet,
    importer: FakeImporter,
    not_ready: NotReady,
    tmp_path: Path,
) -> AsyncIterator[AdminParts]:
    """All that the application stands on."""
    async with Supervisor("test") as supervisor:
        yield make_parts(database, fleet, importer, not_ready, supervisor, tmp_path)


@pytest.fixture
async def client(parts: AdminParts) -> AsyncIterator[TestClient[Any, Any]]:
    """A client of the application, on loopback."""
    async with TestClient(TestServer(build_app(parts, SystemClock()))) as client:
        yield client


@pytest.fixture
async def api(client: TestClient[Any, Any], parts: AdminParts) -> CheckedApi:
    """REST with a token called `tests`."""
    _number, token = await parts.accounts.operators.issue("tests")
    return CheckedApi(client, token)


@pytest.fixture
async def farm(api: CheckedApi) -> SampleFarm:
    """An image, a flavour, a user and a VM."""
    return await make_sample_farm(api)


@pytest.fixture
def log_text() -> Iterator[Callable[[], str]]:
    """What the node logs during the test, as it would be written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream.getvalue
    root.removeHandler(handler)
    root.setLevel(level)
