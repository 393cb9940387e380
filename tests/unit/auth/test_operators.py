"""API tokens."""

import logging

import pytest

from qvdnode.auth.operators import Operators
from qvdnode.auth.settings import AuthSettings
from qvdnode.model.errors import Conflict, NotFound, Unauthenticated, Unavailable
from tests.fakes.accounts import FakeApiTokens
from tests.fakes.clock import ManualClock

SOURCE = "192.0.2.1"


def make() -> tuple[Operators, FakeApiTokens]:
    rows = FakeApiTokens()
    return Operators(rows, ManualClock(), AuthSettings()), rows


async def test_an_issued_token_names_its_operator() -> None:
    operators, rows = make()
    token_id, token = await operators.issue("robot")
    found = await operators.operator(token)
    assert (found.name, found.token_id) == ("robot", token_id)
    assert token.encode() not in rows.rows


async def test_a_name_is_taken_once() -> None:
    operators, _ = make()
    await operators.issue("robot")
    with pytest.raises(Conflict):
        await operators.issue("robot")


async def test_an_unknown_token_is_refused() -> None:
    operators, _ = make()
    with pytest.raises(Unauthenticated):
        await operators.operator("rubbish")


async def test_a_revoked_token_is_refused_with_and_without_the_database() -> None:
    operators, rows = make()
    token_id, token = await operators.issue("robot")
    await operators.operator(token)
    await operators.revoke(token_id)
    rows.away = True
    with pytest.raises(Unavailable):
        await operators.operator(token)
    rows.away = False
    with pytest.raises(Unauthenticated):
        await operators.operator(token)


async def test_revoking_what_is_not_there_says_so() -> None:
    operators, _ = make()
    with pytest.raises(NotFound):
        await operators.revoke(7)


async def test_an_operator_who_was_here_still_gets_in_while_the_database_is_away() -> None:
    operators, rows = make()
    _, token = await operators.issue("robot")
    rows.away = True
    with pytest.raises(Unavailable):
        await operators.operator(token)
    rows.away = False
    await operators.operator(token)
    rows.away = True
    assert (await operators.operator(token)).name == "robot"


async def test_invalid_tokens_are_logged_and_do_not_keep_a_right_one_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    operators, _ = make()
    _, token = await operators.issue("robot")
    with caplog.at_level(logging.INFO):
        for number in range(300):
            with pytest.raises(Unauthenticated):
                await operators.operator(f"rubbish {number}", source=SOURCE)
    assert (await operators.operator(token, source=SOURCE)).name == "robot"
    lines = [vars(line) for line in caplog.records if line.message == "login_failed"]
    assert (lines[0]["source"], lines[0]["because"]) == (SOURCE, "unknown API token")
    assert len(lines) == 10


async def test_a_revoked_token_is_told_so_each_time_and_looked_up_once() -> None:
    operators, rows = make()
    for _ in range(150):
        with pytest.raises(Unauthenticated):
            await operators.operator("revoked", source=SOURCE)
    assert rows.asked == 1


async def test_nothing_is_looked_up_for_a_caller_that_has_left() -> None:
    operators, rows = make()
    with pytest.raises(Unavailable):
        await operators.operator("token", source=SOURCE, is_wanted=lambda: False)
    assert rows.asked == 0
