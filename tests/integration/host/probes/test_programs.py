"""What the doctor finds out of programs, with such as a host might have."""

from pathlib import Path

import pytest

from qvdnode.host.probes import programs


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A program whose script a test fills in."""
    made = tmp_path / "program"
    made.touch(mode=0o755)
    return str(made)


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo program 1.22.3 of 2026", "1.22.3"),
        ("echo version 5.0 >&2; exit 1", "5.0"),
        ("echo hello", "?"),
    ],
)
async def test_a_program_that_is_there_has_a_version_or_an_unknown_one(
    program: str, script: str, version: str
) -> None:
    Path(program).write_text(f"#!/bin/sh\n{script}\n")
    assert await programs.version(program) == version


async def test_one_that_does_not_say_its_version_is_there_all_the_same(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "LIMIT_S", 0.2)
    Path(program).write_text("#!/bin/sh\nexec sleep 60\n")
    assert await programs.version(program) == "?"


async def test_one_that_is_not_there_has_none() -> None:
    assert await programs.version("/nowhere/program") is None
