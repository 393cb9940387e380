"""The first admin token."""

from pathlib import Path

import pytest

from qvdnode.auth.operators import Operators
from qvdnode.auth.settings import AuthSettings
from qvdnode.daemon.first_token import ensure_first_token, ensure_working_token
from tests.fakes.accounts import FakeApiTokens
from tests.fakes.clock import ManualClock


@pytest.fixture
def operators() -> Operators:
    return Operators(FakeApiTokens(), ManualClock(), AuthSettings())


def fresh() -> Operators:
    """Those of a farm that was set up anew."""
    return Operators(FakeApiTokens(), ManualClock(), AuthSettings())


async def holder(operators: Operators, path: Path | None) -> str:
    assert path is not None
    return (await operators.operator(path.read_text().strip())).name


async def test_a_new_farm_gets_a_token_for_root_alone(operators: Operators, tmp_path: Path) -> None:
    path = await ensure_first_token(operators, tmp_path)
    assert await holder(operators, path) == "first-admin"
    assert (tmp_path / "admin.token").stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["admin.token"]


async def test_the_next_start_keeps_it(operators: Operators, tmp_path: Path) -> None:
    path = await ensure_first_token(operators, tmp_path)
    assert path is not None
    token = path.read_text()
    assert await ensure_first_token(operators, tmp_path) == path
    assert path.read_text() == token


async def test_a_token_taken_away_does_not_keep_the_node_from_starting(
    operators: Operators, tmp_path: Path
) -> None:
    await ensure_first_token(operators, tmp_path)
    (tmp_path / "admin.token").unlink()
    assert await ensure_first_token(operators, tmp_path) is None


async def test_the_second_node_of_a_farm_starts_without_one(
    operators: Operators, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    await ensure_first_token(operators, first)
    assert await ensure_first_token(operators, second) is None


async def test_init_gives_the_token_that_works(operators: Operators, tmp_path: Path) -> None:
    path = await ensure_working_token(operators, tmp_path)
    token = path.read_text()
    assert await holder(operators, path) == "first-admin"
    assert (await ensure_working_token(operators, tmp_path)).read_text() == token


async def test_init_lets_root_in_again_after_a_loss(operators: Operators, tmp_path: Path) -> None:
    await ensure_first_token(operators, tmp_path)
    (tmp_path / "admin.token").unlink()
    path = await ensure_working_token(operators, tmp_path)
    assert (await holder(operators, path)).startswith("first-admin-")


async def test_init_replaces_a_token_of_another_farm(operators: Operators, tmp_path: Path) -> None:
    await ensure_first_token(fresh(), tmp_path)
    path = await ensure_working_token(operators, tmp_path)
    assert await holder(operators, path) == "first-admin"
