"""API tokens."""

import pytest

from qvdnode.auth.operators import Operators
from qvdnode.auth.settings import AuthSettings
from qvdnode.model.errors import Conflict, NotFound, Unauthenticated, Unavailable
from tests.fakes.accounts import FakeApiTokens
from tests.fakes.clock import ManualClock


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
    with pytest.raises(Unauthenticated):
        await operators.operator(token)
    rows.away = True
    with pytest.raises(Unavailable):
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
