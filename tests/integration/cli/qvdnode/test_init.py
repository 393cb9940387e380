"""`qvdnode init` as a person types it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.qvdnode.program import app
from tests.fixtures_postgres import state_folder

pytestmark = pytest.mark.postgres


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where everything of this test goes."""
    made = state_folder()
    yield made
    shutil.rmtree(made)


@pytest.mark.timeout(60)
def test_init_writes_a_commented_file_and_tells_the_secret_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QVDNODE_NODE__STATE_DIR", str(folder / "state"))
    config = folder / "etc" / "qvdnode.toml"
    result = CliRunner().invoke(app, ["init", "--config", str(config)])
    assert result.exit_code == 0, result.output
    told = dict(line.split(maxsplit=1) for line in result.output.splitlines() if line[0] != " ")
    assert told["certificate"].startswith("SHA256:")
    assert str(config) in told["configuration"]
    assert (folder / "state" / "admin.token").read_text().strip() in result.output
    assert "/ui/login#" in told["page"]
    assert "[database]" in config.read_text()
    assert config.stat().st_mode & 0o777 == 0o600


def test_a_wrong_key_is_named_with_the_exit_code_for_it(folder: Path) -> None:
    config = folder / "qvdnode.toml"
    config.write_text("[node]\ncolor = " + json.dumps("desk1"))
    result = CliRunner().invoke(app, ["init", "--config", str(config)])
    assert result.exit_code == ExitCode.USAGE
    assert "node.color" in result.output
