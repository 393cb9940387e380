"""Logins in browsers in PostgreSQL."""

from datetime import timedelta

import pytest

from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.browser_sessions import BrowserSessions, SessionLimits
from qvdnode.db.pool import Database
from qvdnode.db.users import Users
from qvdnode.model.errors import NotFound, Unauthenticated
from qvdnode.model.listing import Page
from qvdnode.model.principal import Operator, Principal
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres


@pytest.fixture
def sessions(database: Database) -> BrowserSessions:
    return BrowserSessions(database, SessionLimits(per_owner_max=3))


@pytest.fixture
async def operator(database: Database) -> Operator:
    return Operator("ana", await ApiTokens(database).add("ana", b"token"))


async def test_a_login_is_found_until_it_ends(
    sessions: BrowserSessions, operator: Operator
) -> None:
    made = await sessions.add(operator, b"1", source="192.0.2.1", agent="Browser/1")
    life = made.ends_at - made.created_at
    assert abs(life - timedelta(hours=8)) < timedelta(minutes=1)
    assert await sessions.find(b"1") == made
    assert await sessions.find(b"2") is None
    await sessions.end(operator, made.id)
    assert await sessions.find(b"1") is None
    with pytest.raises(NotFound):
        await sessions.end(operator, made.id)


async def test_an_idle_login_is_over_and_not_listed(
    sessions: BrowserSessions, operator: Operator, database: Database
) -> None:
    made = await sessions.add(operator, b"1", source="", agent="")
    await database.execute("UPDATE browser_session SET seen_at = now() - interval '31 min'")
    assert await sessions.find(b"1") is None
    assert (await sessions.list(operator, Page())).items == ()
    await sessions.seen(made.id)
    assert await sessions.find(b"1") == made


async def test_ended_rows_are_cleared_away(
    sessions: BrowserSessions, operator: Operator, database: Database
) -> None:
    await sessions.add(operator, b"1", source="", agent="")
    await database.execute("UPDATE browser_session SET ends_at = now() - interval '1 s'")
    second = await sessions.add(operator, b"2", source="", agent="")
    assert [row["id"] for row in await database.fetch("SELECT id FROM browser_session")] == [
        second.id
    ]


async def test_one_login_too_many_ends_the_one_that_was_not_used_for_longest(
    sessions: BrowserSessions, operator: Operator
) -> None:
    for key in (b"1", b"2", b"3", b"4"):
        await sessions.add(operator, key, source="", agent="")
    assert await sessions.find(b"1") is None
    assert len((await sessions.list(operator, Page())).items) == 3


async def test_a_login_ends_with_its_token(
    sessions: BrowserSessions, operator: Operator, database: Database
) -> None:
    await sessions.add(operator, b"1", source="", agent="")
    await sessions.add_link(operator, b"link", timedelta(minutes=10))
    await ApiTokens(database).delete(operator.token_id)
    assert await sessions.find(b"1") is None
    assert await sessions.take_link(b"link") is None


async def test_a_user_login_ends_with_the_epoch(
    sessions: BrowserSessions, database: Database
) -> None:
    who = (await make_sample(database)).user
    user = Principal(who.id, who.tenant_id, who.login, who.tenant)
    made = await sessions.add(user, b"1", source="", agent="")
    assert (made.owner, (await sessions.list(user, Page())).items) == (user, (made,))
    await Users(database).revoke_tokens(who.id)
    assert await sessions.find(b"1") is None
    with pytest.raises(Unauthenticated):
        await sessions.add(user, b"2", source="", agent="")


async def test_a_link_is_used_up_by_its_first_use(
    sessions: BrowserSessions, operator: Operator, database: Database
) -> None:
    await sessions.add_link(operator, b"link", timedelta(minutes=10))
    assert await sessions.take_link(b"link") == operator
    assert await sessions.take_link(b"link") is None
    await sessions.add_link(operator, b"late", timedelta(seconds=-1))
    assert await sessions.take_link(b"late") is None
