"""The progress bar of an import, which is there for people at a terminal only."""

import re
from pathlib import Path

import pytest

from tests.harness.terminal import at_terminal
from tests.integration.cli.qvd.conftest import Qvd

pytestmark = pytest.mark.postgres

MIB = 1 << 20


async def test_a_person_sees_an_import_advance(
    logged_in: Qvd, config_home: Path, tmp_path: Path
) -> None:
    tar = tmp_path / "icewm.tar"
    tar.write_bytes(b"x" * (9 * MIB))
    env = {"XDG_CONFIG_HOME": str(config_home), "TERM": "xterm"}
    said = await at_terminal(env, "image", "import", "icewm", str(tar))
    assert said.exit_code == 0, said.screen
    *_, last = re.findall(r"(\d\.\d)/9\.0 MiB", said.screen)
    assert float(last) >= 8  # the node tells every 4 MiB
    assert "importing icewm" in said.screen
    assert "Image icewm has version 1 now" in said.screen
    answer = await at_terminal(
        env, "image", "import", "icewm", str(tar), "--json", into=tmp_path / "answer"
    )
    assert answer.stdout.startswith('{\n  "version": 2,')
    assert "importing icewm" in answer.screen


async def test_a_program_sees_none(logged_in: Qvd, tmp_path: Path) -> None:
    tar = tmp_path / "icewm.tar"
    tar.write_bytes(b"x" * 1000)
    said = await logged_in("image", "import", "icewm", str(tar))
    assert (said.exit_code, said.stderr) == (0, "")
