"""One node for the tests of this folder, with one image; each test makes its own users."""

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.runtime.clock import SystemClock
from tests.harness.chromium import Browser, chromium
from tests.harness.farm import Desk, import_image, make_desk, make_flavour
from tests.harness.node import NodeProcess, running_node, test_root
from tests.harness.rest import Rest
from tests.harness.screen import xvfb
from tests.harness.secrets_in_logs import secrets_in

LIMIT_S = 180.0
NUMBERS = itertools.count(1)
ENGINE_SOCKET = test_root() / f"docker-{os.getpid()}.sock"
"""Where the node of these tests looks for a Docker engine: there is none before test_docker.py."""
ENGINE_RUNTIME = "qvdshared"
MakeDesk = Callable[[], Awaitable[Desk]]


@dataclass
class Screen:
    """An X display and what watches it."""

    display: str
    watcher: WindowWatcher


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole programs get a longer limit, share one loop and one node, and run last.

    On a slow machine `--timeout` gives a longer one still.

    Removing the node belongs to the teardown of the very last test, within that test's limit.
    """
    items.sort(key=is_here)
    for item in filter(is_here, items):
        given = float(item.config.getoption("timeout") or 0)
        item.add_marker(pytest.mark.timeout(max(LIMIT_S, given)))
        item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell what the nodes of a test wrote when it fails: their logs go with them."""
    report = yield
    if report.failed and is_here(item):
        for name, value in (getattr(item, "funcargs", None) or {}).items():
            for node in (value, *getattr(value, "nodes", ())):
                if isinstance(node, NodeProcess):
                    report.sections.append((f"log of {name} {node.prefix}", node.last_events()))
    return report


def is_here(item: pytest.Item) -> bool:
    """Whether the test stands below this folder."""
    return item.path.is_relative_to(Path(__file__).parent)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node(icewm_root: Path) -> AsyncIterator[NodeProcess]:
    """A node that serves, with the image `icewm` and the flavour `office`.

    Its log of the whole run holds no password.
    """
    if os.geteuid() != 0:
        pytest.fail("end-to-end tests need root")
    docker = {"socket": str(ENGINE_SOCKET), "runtime": ENGINE_RUNTIME}
    async with running_node(test_root(), **{"drivers.docker": docker}) as running:
        async with running.rest() as rest:
            await import_image(rest, "icewm", icewm_root)
            await make_flavour(rest, "office", "icewm")
        yield running
        assert secrets_in(running) == []


@pytest_asyncio.fixture(loop_scope="session")
async def rest(node: NodeProcess) -> AsyncIterator[Rest]:
    """The node's REST, as administrator."""
    if node.process is None or node.process.returncode is not None:
        await node.start()
    async with node.rest() as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def make(node: NodeProcess, rest: Rest) -> AsyncIterator[MakeDesk]:
    """Makes users with a VM each; their guests are stopped at the end."""
    flavour = (await rest.get("/flavours?name=office"))["items"][0]["id"]
    made: list[Desk] = []

    async def one() -> Desk:
        desk = await make_desk(node, rest, f"user{next(NUMBERS)}", flavour)
        made.append(desk)
        return desk

    yield one
    if node.process is None or node.process.returncode is not None:
        await node.start()
    async with node.rest() as fresh:
        for desk in made:
            await fresh.post(f"/vms/{desk.vm_id}/stop?wait=true")


@pytest_asyncio.fixture(loop_scope="session")
async def screen() -> AsyncIterator[Screen]:
    """An Xvfb of the test's own."""
    async with xvfb() as display, WindowWatcher(display, SystemClock()) as watcher:
        yield Screen(display, watcher)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """A Spanish Chromium that takes the node's own certificate."""
    profile = tmp_path_factory.mktemp("chromium")
    flags = ("--ignore-certificate-errors", "--accept-lang=es-ES", "--window-size=1000,700")
    async with chromium(profile, *flags) as running:
        yield running
