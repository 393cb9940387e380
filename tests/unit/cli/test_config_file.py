"""Which configuration a command goes by."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from qvdnode.cli import config_file
from qvdnode.cli.config_file import chosen, told
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.qvdnode.program import app


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the default file would be; not there yet."""
    path = tmp_path / "qvdnode.toml"
    monkeypatch.setattr(config_file, "DEFAULT", path)
    return path


def test_the_file_that_is_given_goes_first(default: Path) -> None:
    default.touch()
    assert chosen(Path("/given")) == Path("/given")


def test_the_file_of_init_is_taken_where_it_exists(default: Path) -> None:
    assert chosen(None) is None
    default.touch()
    assert chosen(None) == default


@pytest.mark.parametrize("words", ["doctor", "serve", "backup --to /no/file", "restore --from /no"])
def test_all_commands_choose_alike(default: Path, words: str) -> None:
    default.write_text("[node]\ncolor = 1\n")
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == ExitCode.USAGE
    assert "node.color" in result.output


def test_having_none_is_told() -> None:
    assert told(Path("/etc/x.toml")) == "/etc/x.toml"
    assert told(None).startswith("No file")
