"""Lists: searched, filtered, sorted, counted, page after page."""

import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.pool import Database
from qvdnode.db.tenants import Tenants
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.model.errors import NotFound
from qvdnode.model.farm import User, Vm
from qvdnode.model.ids import NodeId, TenantId
from qvdnode.model.listing import Listing, Page
from qvdnode.model.vm_state import VmState
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres

USERS = 10_000
VMS = 12_000
GOAL_S = 0.08
TRIES = 10


async def whole(users: Users, page: Page, tenant: TenantId | None = None) -> list[User]:
    """All items of a list, page after page."""
    found: list[User] = []
    after: int | str | None = 0
    while after is not None:
        part = await users.list(
            Page(limit=page.limit, after=after, q=page.q, sort=page.sort), tenant_id=tenant
        )
        found += part.items
        after = part.next_after
    return found


async def some_users(database: Database) -> Users:
    users = Users(database)
    acme = await Tenants(database).create("acme")
    default = await Tenants(database).by_name("default")
    for login in ("ana", "anabel", "bob", "a_b", "carl", "zoe"):
        await users.create(default.id, login, "x")
    for login in ("ana", "bob", "yan"):
        await users.create(acme.id, login, "x")
    return users


@pytest.mark.parametrize("sort", ["login", "-login", "tenant", "-created_at", "-id"])
@pytest.mark.parametrize("limit", [1, 2, 4, 100])
async def test_pages_hold_each_row_once_and_in_order(
    database: Database, sort: str, limit: int
) -> None:
    users = await some_users(database)
    found = await whole(users, Page(limit=limit, sort=sort))
    name, back = sort.removeprefix("-"), sort.startswith("-")

    def key(user: User) -> tuple[str | datetime | int, int]:
        return getattr(user, name), user.id

    assert len(found) == 9
    assert found == sorted(found, key=key, reverse=back)


async def test_a_prefix_is_found_whatever_the_case(database: Database) -> None:
    users = await some_users(database)
    for q, expected in (
        ("an", ["ana", "anabel", "ana"]),
        ("ANA", ["ana", "anabel", "ana"]),
        ("a_", ["a_b"]),
        ("%", []),
        ("\\", []),
        ("nab", []),
        ("ñ", []),
    ):
        listing = await users.list(Page(q=q))
        assert [user.login for user in listing.items] == expected
        assert listing.total == len(expected)


async def test_all_matching_rows_are_counted_on_each_page(database: Database) -> None:
    users = await some_users(database)
    acme = await Tenants(database).by_name("acme")
    first = await users.list(Page(limit=2), tenant_id=acme.id)
    assert (len(first.items), first.total) == (2, 3)
    last = await users.list(Page(limit=2, after=first.next_after or 0), tenant_id=acme.id)
    assert (len(last.items), last.total, last.next_after) == (1, 3, None)
    assert len(await whole(users, Page(limit=1, sort="login", q="b"), acme.id)) == 1


async def test_a_row_that_goes_moves_no_other_to_another_page(database: Database) -> None:
    users = await some_users(database)
    first = await users.list(Page(limit=3, sort="login"))
    await users.delete(first.items[-1].id)
    rest = await users.list(Page(limit=100, sort="login", after=first.next_after or 0))
    assert len(rest.items) == 6


async def test_a_place_of_another_order_is_no_page(database: Database) -> None:
    users = await some_users(database)
    place = (await users.list(Page(limit=3, sort="login"))).next_after or 0
    tokens = ApiTokens(database)
    for wrong in (
        users.list(Page(after=place, sort="-login")),
        users.list(Page(after=place, sort="created_at")),
        users.list(Page(after=place)),
        users.list(Page(after=7, sort="login")),
        users.list(Page(after="x" * 40, sort="login")),
    ):
        with pytest.raises(NotFound, match="first one"):
            await wrong
    with pytest.raises(NotFound):
        await tokens.list(Page(after=place, sort="name"))


async def test_vms_are_sorted_and_filtered(database: Database) -> None:
    made, vms = await make_sample(database), Vms(database)
    second = await vms.create(made.user.id, made.flavour.id, "Another")
    for sort, names in (("name", ["Another", "desk"]), ("-name", ["desk", "Another"])):
        listing = await vms.list(Page(sort=sort))
        assert [vm.name for vm in listing.items] == names
    for sort in ("user", "flavour", "state", "state_since", "created_at"):
        assert (await vms.list(Page(sort=sort))).total == 2
    assert [vm.id for vm in (await vms.list(Page(q="anoth"))).items] == [second.id]
    assert (await vms.list(Page(q="alic"))).total == 2
    assert (await vms.list(Page(), node_id=NodeId(7))).total == 0


async def fill(database: Database) -> None:
    """Ten thousand users with twelve thousand desktops, of which some run."""
    made = await make_sample(database)
    await database.execute(
        "INSERT INTO app_user (tenant_id, login, password_hash)"
        " SELECT $1, 'user' || lpad(n::text, 5, '0'), 'x' FROM generate_series(1, $2::int) n",
        made.tenant.id,
        USERS,
    )
    await database.execute(
        "INSERT INTO vm (user_id, flavour_id, name, state)"
        " SELECT u.id, $1, 'desk' || n, CASE WHEN u.id % 3 = 0 THEN 'running' ELSE 'stopped' END"
        " FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM app_user) u,"
        " generate_series(1, CASE WHEN u.place <= $2::int THEN 2 ELSE 1 END) n",
        made.flavour.id,
        VMS - USERS,
    )
    await database.execute("ANALYZE")


@pytest.mark.timeout(120)
async def test_a_large_farm_is_listed_quickly(database: Database) -> None:
    await fill(database)
    users, vms = Users(database), Vms(database)
    tenant = (await Tenants(database).by_name("default")).id
    middle = await users.list(Page(limit=50, sort="login", q="user05"))
    running = VmState.RUNNING
    lists: dict[str, Callable[[], Awaitable[Listing[User] | Listing[Vm]]]] = {
        "users by login": lambda: users.list(Page(limit=50, sort="login"), tenant_id=tenant),
        "users backwards": lambda: users.list(Page(limit=50, sort="-created_at")),
        "users searched": lambda: users.list(Page(limit=50, q="user0")),
        "users later": lambda: users.list(
            Page(limit=50, sort="login", after=middle.next_after or 0)
        ),
        "vms": lambda: vms.list(Page(limit=50)),
        "vms by name": lambda: vms.list(Page(limit=50, sort="name"), state=running),
        "vms by user": lambda: vms.list(Page(limit=50, sort="-user"), tenant_id=tenant),
        "vms by state": lambda: vms.list(Page(limit=50, sort="-state_since", q="desk")),
        "vms searched": lambda: vms.list(Page(limit=50, q="user0999", sort="name")),
    }
    quickest = {}
    for name, ask in lists.items():
        assert (await ask()).total > 0
        quickest[name] = min([await seconds(ask) for _ in range(TRIES)])
    # The quickest, since others may keep the processors busy meanwhile.
    assert {name: s for name, s in quickest.items() if s > GOAL_S} == {}


async def seconds(ask: Callable[[], Awaitable[object]]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    await ask()
    return time.perf_counter() - began
