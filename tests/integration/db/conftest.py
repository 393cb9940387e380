"""A server of a test's own, to be killed and restarted."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.postmaster import running_server
from qvdnode.db.settings import DatabaseSettings
from qvdnode.runtime.clock import SystemClock
from tests.fixtures_postgres import state_folder


@dataclass(slots=True)
class OwnServer:
    """An embedded server that nobody else uses."""

    settings: DatabaseSettings
    embedded: EmbeddedPostgres

    def another(self) -> EmbeddedPostgres:
        """What a second node process on the same folder would have."""
        return EmbeddedPostgres(self.settings, SystemClock())

    def pid(self) -> int | None:
        """The server's process; None while there is none."""
        server = running_server(self.settings.state_dir / "pg" / "data")
        return None if server is None else server.pid


@pytest.fixture
async def own_server() -> AsyncIterator[OwnServer]:
    """Not started yet; stopped and removed in the end."""
    settings = DatabaseSettings(state_dir=state_folder(), statement_limit_s=1.0)
    server = OwnServer(settings, EmbeddedPostgres(settings, SystemClock()))
    yield server
    await server.embedded.stop()
    shutil.rmtree(settings.state_dir)
