"""What make does around the programs, in a clone of nothing but what it needs."""

import shutil
from pathlib import Path

import pytest

from qvdnode.host import process

ROOT = Path(__file__).parents[3]
PYTHON = """#!/bin/sh
echo "$@" >>"$0.log"
case "$*" in
    "-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
esac
"""
"""Makes environments with itself in them."""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements-dev.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    program(tmp_path / "packaging" / "install-packages.sh", "#!/bin/sh\n")
    program(tmp_path / "python3", PYTHON)
    return tmp_path


async def make(clone: Path, *words: str) -> process.Finished:
    """With nothing of the host's in reach."""
    own = [f"{name}={clone / name}" for name in ("DEMO_STATE", "TEST_STATE")]
    python = f"PYTHON={clone / 'python3'}"
    return await process.run(["make", "-C", clone, *own, python, *words], check=False)


@pytest.mark.parametrize("half_made", [False, True])
async def test_an_environment_that_was_broken_off_is_made_anew(
    clone: Path, half_made: bool
) -> None:
    if half_made:
        program(clone / ".venv" / "bin" / "python", "#!/bin/sh\nexit 1\n")
    said = await make(clone, "--no-print-directory", "setup")
    assert said.returncode == 0, said.stderr
    assert (clone / "python3.log").read_text() == "-m venv --clear .venv\n"
    assert "-m pip install" in (clone / ".venv" / "bin" / "python.log").read_text()
    assert (clone / ".venv" / ".ready").exists()
    assert said.stdout == b"", "stdout is for JSON: make demo ARGS=--json"


async def test_an_environment_that_works_is_kept(clone: Path) -> None:
    program(clone / ".venv" / "bin" / "python", PYTHON)
    assert (await make(clone, "setup")).returncode == 0
    assert not (clone / "python3.log").exists()


async def test_purge_says_what_it_cannot_remove_without_an_environment(clone: Path) -> None:
    (clone / "TEST_STATE").mkdir()
    said = await make(clone, "purge")
    assert said.returncode != 0
    assert f"{clone}/TEST_STATE stays; run: make setup purge" in said.stderr.decode()
    (clone / "TEST_STATE").rmdir()
    assert (await make(clone, "purge")).returncode == 0
