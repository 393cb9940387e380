"""User tokens in PostgreSQL."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest

from qvdnode.db.pool import Database
from qvdnode.db.tenants import Tenants
from qvdnode.db.user_tokens import UserTokens
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.model.errors import Unauthenticated
from qvdnode.model.principal import Principal
from qvdnode.runtime.tokens import digest
from tests.integration.db.sample import Sample, make_sample
from tests.waiting import until

pytestmark = pytest.mark.postgres


def alice(sample: Sample) -> Principal:
    return Principal(sample.user.id, sample.tenant.id, "alice", "default")


async def test_a_token_logs_its_user_in_for_a_day(database: Database) -> None:
    sample = await make_sample(database)
    tokens = UserTokens(database)
    _, text = await tokens.issue(alice(sample))
    holder = await tokens.holder(digest(text))
    assert holder is not None
    assert holder.principal == alice(sample)
    now = await database.fetchval("SELECT clock_timestamp()")
    assert timedelta(hours=23) < holder.expires_at - now <= timedelta(hours=24)


async def test_the_text_is_kept_nowhere(database: Database) -> None:
    sample = await make_sample(database)
    _, text = await UserTokens(database).issue(alice(sample))
    rows = await database.fetch("SELECT * FROM user_token")
    assert text not in repr(rows)
    assert text.encode() not in b"".join(row["digest"] for row in rows)


async def test_a_bond_to_one_vm_is_kept_and_handed_on(database: Database) -> None:
    sample = await make_sample(database)
    tokens = UserTokens(database)
    _, text = await tokens.issue(alice(sample), only_vm=sample.vm.id)
    holder = await tokens.holder(digest(text))
    assert holder is not None
    assert holder.principal == replace(alice(sample), only_vm=sample.vm.id)
    _, second = await tokens.issue(holder.principal)
    heir = await tokens.holder(digest(second))
    assert heir is not None
    assert heir.principal.only_vm == sample.vm.id


async def test_an_expired_or_unknown_token_logs_nobody_in(database: Database) -> None:
    sample = await make_sample(database)
    tokens = UserTokens(database)
    assert await tokens.holder(b"unknown") is None
    _, text = await tokens.issue(alice(sample))
    await database.execute("UPDATE user_token SET expires_at = clock_timestamp()")
    assert await tokens.holder(digest(text)) is None
    await tokens.issue(alice(sample))
    assert await rows(database) == 1


async def test_a_token_made_with_a_token_ends_with_it(database: Database) -> None:
    sample = await make_sample(database)
    tokens = UserTokens(database, life=timedelta(hours=8))
    _, text = await tokens.issue(alice(sample))
    first = await tokens.holder(digest(text))
    assert first is not None
    await database.execute("UPDATE user_token SET expires_at = expires_at - interval '7 hours'")
    for _ in range(5):
        holder = await tokens.holder(digest(text))
        assert holder is not None
        _, text = await tokens.issue(holder.principal)
    last = await tokens.holder(digest(text))
    assert last is not None
    assert last.expires_at == first.expires_at - timedelta(hours=7)


async def test_a_user_has_so_many_tokens_and_the_oldest_goes(database: Database) -> None:
    sample = await make_sample(database)
    bob = await Users(database).create(sample.tenant.id, "bob", "h")
    tokens = UserTokens(database, per_user_max=3)
    _, of_bob = await tokens.issue(Principal(bob.id, sample.tenant.id, "bob", "default"))
    texts = [(await tokens.issue(alice(sample)))[1] for _ in range(5)]
    found = [await tokens.holder(digest(text)) for text in [*texts, of_bob]]
    assert [one is not None for one in found] == [False, False, True, True, True, True]


async def test_tokens_made_at_once_are_no_more(database: Database) -> None:
    sample = await make_sample(database)
    tokens = UserTokens(database, per_user_max=3)
    await asyncio.gather(*(tokens.issue(alice(sample)) for _ in range(40)))
    assert await rows(database) == 3


@pytest.mark.parametrize("ending", ["block", "block the tenant", "password", "revoke"])
async def test_what_ends_a_users_logins_ends_all_their_tokens_and_those_that_come_too_late(
    database: Database, ending: str
) -> None:
    sample = await make_sample(database)
    tokens, users, tenants = UserTokens(database), Users(database), Tenants(database)
    bob = await users.create((await tenants.create("acme")).id, "bob", "h")
    of_bob = Principal(bob.id, bob.tenant_id, "bob", "acme")
    _, other = await tokens.issue(of_bob)
    _, text = await tokens.issue(alice(sample))
    match ending:
        case "block":
            await users.set_blocked(sample.user.id, blocked=True)
        case "block the tenant":
            await tenants.set_blocked(sample.tenant.id, blocked=True)
        case "password":
            await users.set_password_hash(sample.user.id, "new")
        case _:
            await users.revoke_tokens(sample.user.id)
    await users.set_blocked(sample.user.id, blocked=False)
    await tenants.set_blocked(sample.tenant.id, blocked=False)
    assert await tokens.holder(digest(text)) is None
    assert await rows(database) == 1
    with pytest.raises(Unauthenticated, match="log in again"):
        await tokens.issue(alice(sample))
    found = await users.credentials(("alice", "default"))
    assert found is not None
    _, fresh = await tokens.issue(found.principal)
    assert await tokens.holder(digest(fresh)) is not None
    assert await tokens.holder(digest(other)) is not None


async def test_a_token_made_in_the_moment_of_a_new_password_is_worth_nothing(
    database: Database,
) -> None:
    sample = await make_sample(database)
    tokens, users = UserTokens(database), Users(database)
    made: list[str] = []

    async def thief() -> None:
        with contextlib.suppress(Unauthenticated):
            while True:
                made.append((await tokens.issue(alice(sample)))[1])

    async def administrator() -> None:
        await until(lambda: len(made) > 5)
        await users.set_password_hash(sample.user.id, "new")

    await asyncio.gather(*(thief() for _ in range(4)), administrator())
    assert {await tokens.holder(digest(text)) for text in made} == {None}


async def rows(database: Database) -> int:
    return int(await database.fetchval("SELECT count(*) FROM user_token"))


async def test_a_bound_token_goes_with_its_vm(database: Database) -> None:
    sample = await make_sample(database)
    _, text = await UserTokens(database).issue(alice(sample), only_vm=sample.vm.id)
    await Vms(database).delete(sample.vm.id)
    assert await UserTokens(database).holder(digest(text)) is None
