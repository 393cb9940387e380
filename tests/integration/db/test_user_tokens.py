"""User tokens in PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest

from qvdnode.db.pool import Database
from qvdnode.db.user_tokens import UserTokens
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.model.principal import Principal
from qvdnode.runtime.tokens import digest
from tests.integration.db.sample import Sample, make_sample

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


async def test_expired_unknown_and_blocked(database: Database) -> None:
    sample = await make_sample(database)
    tokens = UserTokens(database)
    assert await tokens.holder(b"unknown") is None
    _, text = await tokens.issue(alice(sample))
    await Users(database).set_blocked(sample.user.id, blocked=True)
    holder = await tokens.holder(digest(text))
    assert holder is not None
    assert holder.blocked
    await database.execute("UPDATE user_token SET expires_at = clock_timestamp()")
    assert await tokens.holder(digest(text)) is None
    await tokens.issue(alice(sample))
    assert await database.fetchval("SELECT count(*) FROM user_token") == 1


async def test_a_bound_token_goes_with_its_vm(database: Database) -> None:
    sample = await make_sample(database)
    _, text = await UserTokens(database).issue(alice(sample), only_vm=sample.vm.id)
    await Vms(database).delete(sample.vm.id)
    assert await UserTokens(database).holder(digest(text)) is None
