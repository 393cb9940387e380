"""`qvdnode init` on a host that has never had a node."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.daemon.config import Config
from qvdnode.daemon.first_start import initialise
from qvdnode.daemon.load import parse
from qvdnode.daemon.state_lock import StateLock
from qvdnode.model.errors import Conflict
from qvdnode.runtime.clock import SystemClock
from tests.fixtures_postgres import state_folder

LINK = re.compile(r"https://[0-9.]+:8444/ui/login#[A-Za-z0-9_-]{43}")

pytestmark = pytest.mark.postgres


@pytest.fixture
def config() -> Iterator[Config]:
    """Of a node with a state folder and a database of its own."""
    folder = state_folder()
    yield parse({"node": {"state_dir": str(folder)}})
    shutil.rmtree(folder)


@pytest.mark.timeout(60)
async def test_a_host_is_prepared_and_again_is_fine(config: Config) -> None:
    first = await initialise(config, SystemClock())
    token = first.token_file.read_text()
    assert first.fingerprint.startswith("SHA256:")
    assert first.schema_version > 0
    again = await initialise(config, SystemClock())
    assert replace(again, login_url=None) == replace(first, login_url=None)
    assert first.login_url != again.login_url
    assert LINK.fullmatch(first.login_url or "")
    assert again.token_file.read_text() == token
    assert not running_from(config.node.state_dir)


async def test_a_host_whose_node_runs_is_left_alone(config: Config) -> None:
    with StateLock(config.node.state_dir), pytest.raises(Conflict, match="already serves"):
        await initialise(config, SystemClock())


def running_from(folder: Path) -> list[str]:
    """The command lines of processes that name the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found
