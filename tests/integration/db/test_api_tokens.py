"""API tokens in PostgreSQL."""

import pytest

from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.pool import Database
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.listing import Page
from qvdnode.model.principal import Operator

pytestmark = pytest.mark.postgres


async def test_a_digest_names_its_operator(database: Database) -> None:
    tokens = ApiTokens(database)
    token_id = await tokens.add("robot", b"digest")
    assert await tokens.operator(b"digest") == Operator("robot", token_id)
    assert await tokens.operator(b"other") is None
    (listed,) = (await tokens.list(Page())).items
    assert (listed.id, listed.name) == (token_id, "robot")


async def test_a_name_is_taken_once(database: Database) -> None:
    await ApiTokens(database).add("robot", b"1")
    with pytest.raises(Conflict, match="token of that name"):
        await ApiTokens(database).add("robot", b"2")


async def test_a_deleted_token_is_nobodys(database: Database) -> None:
    tokens = ApiTokens(database)
    token_id = await tokens.add("robot", b"digest")
    await tokens.delete(token_id)
    assert await tokens.operator(b"digest") is None
    with pytest.raises(NotFound):
        await tokens.delete(token_id)
