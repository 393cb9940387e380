"""The `qvd` command against a node's REST on loopback, over TLS, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from qvdnode.admin import listener
from qvdnode.admin.parts import AdminParts
from qvdnode.admin.settings import AdminSettings
from qvdnode.cli.qvd.program import app
from qvdnode.db.pool import Database
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.tls.acceptor import listen
from qvdnode.tls.identity import NodeIdentity
from tests.fakes.fleet import FakeFleet
from tests.fakes.importer import FakeImporter
from tests.integration.admin.parts_for_tests import NotReady, make_parts
from tests.integration.cli.qvd.live_node import LiveNode

Qvd = Callable[..., Awaitable[Result]]


@pytest.fixture
def fleet() -> FakeFleet:
    """The node's fleet."""
    return FakeFleet()


@pytest.fixture
def importer() -> FakeImporter:
    """The node's importer."""
    return FakeImporter()


@pytest.fixture
async def parts(
    database: Database, fleet: FakeFleet, importer: FakeImporter, tmp_path: Path
) -> AsyncIterator[AdminParts]:
    """All that the node's REST stands on."""
    async with Supervisor("test") as supervisor:
        yield make_parts(database, fleet, importer, NotReady(), supervisor, tmp_path)


@pytest.fixture
async def node(parts: AdminParts, tmp_path: Path) -> AsyncIterator[LiveNode]:
    """A node that serves REST."""
    identity = NodeIdentity(tmp_path / "tls", SystemClock())
    identity.ensure(["localhost"])
    socket = listen("127.0.0.1", 0, section="admin")
    port = int(socket.getsockname()[1])
    _number, token = await parts.accounts.operators.issue("tests")
    async with listener.serving(parts, SystemClock(), socket, identity.context, AdminSettings()):
        yield LiveNode(f"https://127.0.0.1:{port}", identity.fingerprint(), token)


@pytest.fixture
def config_home(tmp_path: Path) -> Path:
    """Where `qvd` keeps its settings in the test."""
    return tmp_path / "config"


@pytest.fixture
def qvd(config_home: Path) -> Qvd:
    """Runs the command in a thread of its own, while the node serves on the test's loop."""
    environ = {"XDG_CONFIG_HOME": str(config_home), "COLUMNS": "200", "NO_COLOR": "1"}

    async def run(*words: str, stdin: str = "") -> Result:
        runner = CliRunner()
        return await asyncio.to_thread(lambda: runner.invoke(app, words, input=stdin, env=environ))

    return run


@pytest.fixture
async def logged_in(qvd: Qvd, node: LiveNode) -> Qvd:
    """The same, after a login."""
    words: Sequence[str] = ("login", node.url, "--fingerprint", node.fingerprint, "--token-stdin")
    result = await qvd(*words, stdin=f"{node.token}\n")
    assert result.exit_code == 0, result.output
    return qvd
