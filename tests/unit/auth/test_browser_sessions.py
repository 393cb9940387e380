"""Logins in browsers, without a database."""

import logging
from datetime import timedelta

import pytest

from qvdnode.auth.browser_sessions import BrowserLogins, CacheLimits, login_url
from qvdnode.model.errors import NotFound, Unauthenticated, Unavailable
from qvdnode.model.principal import Operator, Principal
from tests.fakes.accounts import FakeBrowserSessions, principal
from tests.fakes.clock import ManualClock

ADMIN = Operator("ana", 7)
USER = principal("alice")
AWAY_S = 1_800.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> FakeBrowserSessions:
    return FakeBrowserSessions(now=clock.now())


@pytest.fixture
def logins(store: FakeBrowserSessions, clock: ManualClock) -> BrowserLogins:
    return BrowserLogins(store, clock, CacheLimits(100, AWAY_S), timedelta(minutes=10))


async def test_a_key_names_its_owner(logins: BrowserLogins, store: FakeBrowserSessions) -> None:
    key, made = await logins.begin(ADMIN, source="192.0.2.1", agent="Browser/1")
    owner, session = await logins.find(key, Operator)
    assert (owner, session) == (ADMIN, made)
    assert key.encode() not in store.rows
    assert store.used == [made.id]


async def test_what_a_page_asks_by_itself_is_no_use(
    logins: BrowserLogins, store: FakeBrowserSessions
) -> None:
    key, _ = await logins.begin(ADMIN, source="", agent="")
    await logins.find(key, Operator, is_used=False)
    assert store.used == []


async def test_a_use_is_noted_once_a_minute(
    logins: BrowserLogins, store: FakeBrowserSessions
) -> None:
    store.unseen_s = 59.0
    key, _ = await logins.begin(ADMIN, source="", agent="")
    await logins.find(key, Operator)
    assert store.used == []


async def test_each_kind_of_owner_has_its_own_logins(logins: BrowserLogins) -> None:
    admins, _ = await logins.begin(ADMIN, source="", agent="")
    users, _ = await logins.begin(USER, source="", agent="")
    assert (await logins.find(users, Principal))[0] == USER
    with pytest.raises(Unauthenticated):
        await logins.find(admins, Principal)
    with pytest.raises(Unauthenticated):
        await logins.find(users, Operator)


async def test_an_unknown_key_is_refused_and_nobody_is_banned_for_it(
    logins: BrowserLogins, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(Unauthenticated, match="log in again"):
        await logins.find("unknown", Operator)
    assert "login_failed" not in caplog.text


async def test_the_name_of_a_browser_is_made_harmless(logins: BrowserLogins) -> None:
    _, made = await logins.begin(ADMIN, source="", agent="a\x1b[2J\n" + "b" * 500)
    assert made.agent.startswith("a[2Jb")
    assert len(made.agent) == 200


async def test_while_the_database_is_away_a_known_login_is_valid_for_the_idle_time(
    logins: BrowserLogins, store: FakeBrowserSessions, clock: ManualClock
) -> None:
    key, _ = await logins.begin(ADMIN, source="", agent="")
    unused, _ = await logins.begin(ADMIN, source="", agent="")
    await logins.find(key, Operator)
    store.away = True
    assert (await logins.find(key, Operator))[0] == ADMIN
    with pytest.raises(Unavailable):
        await logins.find(unused, Operator)
    clock.advance(AWAY_S + 1)
    with pytest.raises(Unavailable):
        await logins.find(key, Operator)


async def test_an_ended_login_is_refused_with_and_without_the_database(
    logins: BrowserLogins, store: FakeBrowserSessions
) -> None:
    key, made = await logins.begin(ADMIN, source="", agent="")
    await logins.find(key, Operator)
    await logins.end(ADMIN, made.id)
    store.away = True
    with pytest.raises(Unavailable):
        await logins.find(key, Operator)
    store.away = False
    with pytest.raises(Unauthenticated):
        await logins.find(key, Operator)


async def test_ending_twice_by_the_key_is_fine(logins: BrowserLogins) -> None:
    key, made = await logins.begin(ADMIN, source="", agent="")
    await logins.end_key(key, Operator)
    await logins.end_key(key, Operator)
    await logins.end_key("", Operator)
    with pytest.raises(NotFound):
        await logins.end(ADMIN, made.id)


async def test_a_link_works_once(logins: BrowserLogins, store: FakeBrowserSessions) -> None:
    key, expires_at = await logins.make_link(ADMIN)
    assert expires_at == store.now + timedelta(minutes=10)
    assert key.encode() not in store.links
    assert await logins.take_link(key) == ADMIN
    with pytest.raises(Unauthenticated, match="used already"):
        await logins.take_link(key)


async def test_a_link_that_could_not_be_looked_up_can_be_tried_again(
    logins: BrowserLogins, store: FakeBrowserSessions
) -> None:
    key, _ = await logins.make_link(ADMIN)
    store.away = True
    with pytest.raises(Unavailable):
        await logins.take_link(key)
    store.away = False
    assert await logins.take_link(key) == ADMIN


def test_the_key_is_in_the_part_of_a_link_that_is_not_sent() -> None:
    assert login_url("node1:8444", "KEY") == "https://node1:8444/ui/login#KEY"
