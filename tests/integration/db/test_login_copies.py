"""The login data of many users at once."""

from dataclasses import replace

import pytest

from qvdnode.db import login_copies
from qvdnode.db.login_copies import LoginCopyRows
from qvdnode.db.pool import Database
from qvdnode.db.user_tokens import UserTokens
from qvdnode.db.users import Users
from qvdnode.model.ids import UserId
from qvdnode.runtime.tokens import digest
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres


async def test_copies_say_what_a_single_login_is_checked_against(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_copies, "AT_ONCE", 1)
    sample = await make_sample(database)
    users, tokens = Users(database), UserTokens(database)
    other = await users.create(sample.tenant.id, "bob", "hash-of-bob")
    found = await users.credentials(("alice", "default"))
    assert found is not None
    _, text = await tokens.issue(found.principal)
    _, bound = await tokens.issue(found.principal, only_vm=sample.vm.id)
    _, expired = await tokens.issue(found.principal)
    await database.execute(
        "UPDATE user_token SET expires_at = clock_timestamp() WHERE digest = $1", digest(expired)
    )
    copies = {
        copy.credentials.principal.user_id: copy
        for copy in await LoginCopyRows(database).copies([sample.user.id, other.id, UserId(99)])
    }
    assert set(copies) == {sample.user.id, other.id}
    assert copies[other.id].tokens == {}
    alice = copies[sample.user.id]
    assert alice.credentials == found
    assert alice.tokens == {digest(one): await tokens.holder(digest(one)) for one in (text, bound)}
    assert alice.tokens[digest(bound)].principal == replace(found.principal, only_vm=sample.vm.id)


async def test_a_blocked_user_and_ended_tokens_are_copied_as_such(database: Database) -> None:
    sample = await make_sample(database)
    users = Users(database)
    found = await users.credentials(("alice", "default"))
    assert found is not None
    await UserTokens(database).issue(found.principal)
    # as after a token that was being issued while the user was blocked
    await database.execute("UPDATE app_user SET blocked = true, epoch = epoch + 1")
    (copy,) = await LoginCopyRows(database).copies([sample.user.id])
    assert copy.credentials.blocked
    assert copy.tokens == {}
    assert await LoginCopyRows(database).copies([]) == []
