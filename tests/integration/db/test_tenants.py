"""Tenants in PostgreSQL."""

import pytest

from qvdnode.db.pool import Database
from qvdnode.db.tenants import Tenants
from qvdnode.model.errors import Conflict, Invalid, NotFound
from qvdnode.model.ids import TenantId
from qvdnode.model.listing import Page
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres


async def test_the_default_tenant_is_there_from_the_start(database: Database) -> None:
    assert (await Tenants(database).by_name("default")).blocked is False


async def test_a_name_is_taken_once(database: Database) -> None:
    await Tenants(database).create("acme")
    with pytest.raises(Conflict, match="tenant of that name"):
        await Tenants(database).create("acme")


async def test_a_name_that_could_not_stand_in_a_login_is_refused(database: Database) -> None:
    with pytest.raises(Invalid):
        await Tenants(database).create("a@b")


async def test_blocking_is_kept(database: Database) -> None:
    tenants = Tenants(database)
    made = await tenants.create("acme")
    await tenants.set_blocked(made.id, blocked=True)
    assert (await tenants.get(made.id)).blocked


async def test_pages_follow_one_another(database: Database) -> None:
    tenants = Tenants(database)
    for name in ("a", "b"):
        await tenants.create(name)
    first = await tenants.list(Page(limit=2))
    assert [item.name for item in first.items] == ["default", "a"]
    assert first.next_after is not None
    second = await tenants.list(Page(limit=2, after=first.next_after))
    assert [item.name for item in second.items] == ["b"]
    assert second.next_after is None


async def test_a_tenant_with_users_stays(database: Database) -> None:
    sample = await make_sample(database)
    with pytest.raises(Conflict, match="still has"):
        await Tenants(database).delete(sample.tenant.id)


async def test_an_empty_tenant_goes(database: Database) -> None:
    tenants = Tenants(database)
    made = await tenants.create("acme")
    await tenants.delete(made.id)
    with pytest.raises(NotFound):
        await tenants.get(made.id)
    with pytest.raises(NotFound):
        await tenants.delete(TenantId(made.id))
    with pytest.raises(NotFound):
        await tenants.set_blocked(made.id, blocked=True)
