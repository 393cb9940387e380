"""Users in PostgreSQL."""

import pytest

from qvdnode.db.pool import Database
from qvdnode.db.tenants import Tenants
from qvdnode.db.users import Users
from qvdnode.model.errors import Conflict, Invalid, NotFound
from qvdnode.model.ids import TenantId, UserId
from qvdnode.model.listing import Page
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres


async def test_a_login_is_taken_once_per_tenant(database: Database) -> None:
    sample = await make_sample(database)
    other = await Tenants(database).create("acme")
    with pytest.raises(Conflict, match="user of that login"):
        await Users(database).create(sample.tenant.id, "alice", "h")
    assert (await Users(database).create(other.id, "alice", "h")).tenant == "acme"


@pytest.mark.parametrize(
    "login",
    [
        "Alice",
        "a b",
        "../x",
        "",
        "a\x00b",
        "a" * 65,
        "root:x",
        "a\\b\\c",
        "\\a",
        "a@",
        "a@b@c",
        "CORP\\ana",
    ],
)
async def test_a_login_that_could_not_be_an_account_is_refused(
    database: Database, login: str
) -> None:
    tenant = await Tenants(database).by_name("default")
    with pytest.raises(Invalid):
        await Users(database).create(tenant.id, login, "h")


async def test_logins_with_a_domain_are_kept_and_the_first_name_that_exists_counts(
    database: Database,
) -> None:
    sample = await make_sample(database)
    users = Users(database)
    windows = await users.create(sample.tenant.id, "corp\\ana", "h")
    mail = await users.create(sample.tenant.id, "ana@corp.example", "h")
    names = (("ana", "corp.example"), ("ana@corp.example", "default"))
    for asked, expected in ((names, mail), ((("corp\\ana", "default"),), windows)):
        found = await users.credentials(*asked)
        assert found is not None
        assert (found.principal.user_id, found.principal.login) == (expected.id, expected.login)
    tenant = await Tenants(database).create("corp.example")
    ana = await users.create(tenant.id, "ana", "h")
    found = await users.credentials(*names)
    assert found is not None
    assert (found.principal.user_id, found.principal.tenant) == (ana.id, "corp.example")


async def test_a_user_of_no_tenant_is_not_made(database: Database) -> None:
    with pytest.raises(NotFound, match="no tenant 999"):
        await Users(database).create(TenantId(999), "alice", "h")


async def test_credentials_carry_the_hash_and_both_blocks(database: Database) -> None:
    sample = await make_sample(database)
    users, tenants = Users(database), Tenants(database)
    found = await users.credentials(("alice", "default"))
    assert found is not None
    assert (found.password_hash, found.blocked) == ("hash-of-alice", False)
    assert found.principal.user_id == sample.user.id
    assert "hash-of-alice" not in repr(found)
    await tenants.set_blocked(sample.tenant.id, blocked=True)
    found = await users.credentials(("alice", "default"))
    assert found is not None
    assert found.blocked
    await tenants.set_blocked(sample.tenant.id, blocked=False)
    await users.set_blocked(sample.user.id, blocked=True)
    found = await users.credentials(("alice", "default"))
    assert found is not None
    assert found.blocked


async def test_nobody_has_no_credentials(database: Database) -> None:
    await make_sample(database)
    assert await Users(database).credentials(("bob", "default")) is None
    assert await Users(database).credentials(("alice", "nowhere")) is None


async def test_a_new_password_hash_replaces_the_old(database: Database) -> None:
    sample = await make_sample(database)
    await Users(database).set_password_hash(sample.user.id, "new")
    found = await Users(database).credentials(("alice", "default"))
    assert found is not None
    assert found.password_hash == "new"


async def test_lists_are_filtered(database: Database) -> None:
    sample = await make_sample(database)
    users = Users(database)
    bob = await users.create(sample.tenant.id, "bob", "h")
    assert (await users.list(Page(), login="bob")).items == (bob,)
    assert (await users.list(Page(), tenant_id=TenantId(999))).items == ()
    assert (await users.list(Page(), tenant_id=sample.tenant.id)).items == (sample.user, bob)


async def test_a_user_with_vms_stays(database: Database) -> None:
    sample = await make_sample(database)
    with pytest.raises(Conflict, match="still has VMs"):
        await Users(database).delete(sample.user.id)


async def test_an_unknown_user_is_not_found(database: Database) -> None:
    for attempt in (
        Users(database).get(UserId(999)),
        Users(database).delete(UserId(999)),
        Users(database).set_blocked(UserId(999), blocked=True),
        Users(database).set_password_hash(UserId(999), "x"),
    ):
        with pytest.raises(NotFound, match="no user 999"):
            await attempt
