"""Logins, good and bad, with and without the database."""

import asyncio
from datetime import timedelta

import pytest

from qvdnode.model.errors import Unauthenticated, Unavailable
from qvdnode.model.ids import TenantId, UserId, VmId
from tests.unit.auth.door import ALICE, OTHER_ALICE, SOURCE, Door

TOKEN = "t0ken"
DAY = timedelta(hours=24)


async def test_the_right_password_names_the_user(door: Door) -> None:
    await door.set_password("secret")
    assert await door.authenticator.basic("Alice@default", "secret", source=SOURCE) == ALICE


async def test_users_of_the_same_login_in_two_tenants_are_two(door: Door) -> None:
    await door.set_password("secret")
    door.accounts.add(OTHER_ALICE, await door.hasher.hash("other"))
    assert await door.authenticator.basic("alice#acme", "other", source=SOURCE) == OTHER_ALICE
    await door.wrong("alice", "other")


@pytest.mark.parametrize("login", ["alice", "bob", "alice@nowhere", "", "@", "\x00", "\udcff"])
async def test_a_wrong_name_or_password_is_refused_alike(door: Door, login: str) -> None:
    await door.set_password("secret")
    await door.wrong(login)


async def test_an_empty_password_is_refused(door: Door) -> None:
    await door.set_password("secret")
    await door.wrong("alice", "")


async def test_a_blocked_user_is_refused(door: Door) -> None:
    await door.set_password("secret", blocked=True)
    await door.wrong("alice", "secret")


async def test_a_good_login_is_not_asked_about_again_for_a_while(door: Door) -> None:
    await door.set_password("secret")
    for _ in range(3):
        await door.authenticator.basic("alice", "secret", source=SOURCE)
    assert door.accounts.asked == 1
    door.clock.advance(door.settings.remember_s + 1)
    await door.authenticator.basic("alice", "secret", source=SOURCE)
    assert door.accounts.asked == 2


async def test_a_forgotten_user_is_asked_about_again(door: Door) -> None:
    await door.set_password("secret")
    await door.authenticator.basic("alice", "secret", source=SOURCE)
    await door.set_password("secret", blocked=True)
    before = door.authenticator.changes
    door.authenticator.forget(UserId(ALICE.user_id))
    assert door.authenticator.changes > before
    await door.wrong("alice", "secret")


async def test_a_blocked_tenant_can_be_forgotten_as_a_whole(door: Door) -> None:
    await door.set_password("secret")
    await door.authenticator.basic("alice", "secret", source=SOURCE)
    door.authenticator.forget_tenant(TenantId(ALICE.tenant_id))
    await door.authenticator.basic("alice", "secret", source=SOURCE)
    assert door.accounts.asked == 2


async def test_parallel_connections_of_one_client_cost_one_check(door: Door) -> None:
    await door.set_password("secret")
    logins = [door.authenticator.basic("alice", "secret", source=SOURCE) for _ in range(10)]
    assert await asyncio.gather(*logins) == [ALICE] * 10
    assert door.accounts.asked == 1


async def test_without_the_database_a_remembered_login_works_for_hours(door: Door) -> None:
    await door.set_password("secret")
    await door.authenticator.basic("alice", "secret", source=SOURCE)
    door.accounts.away = True
    door.clock.advance(3 * 3600)
    assert await door.authenticator.basic("alice", "secret", source=SOURCE) == ALICE
    door.clock.advance(2 * 3600)
    with pytest.raises(Unavailable):
        await door.authenticator.basic("alice", "secret", source=SOURCE)


async def test_without_the_database_a_new_login_is_told_so_and_never_throttled(door: Door) -> None:
    door.accounts.away = True
    for _ in range(20):
        with pytest.raises(Unavailable):
            await door.authenticator.basic("alice", "secret", source=SOURCE)


async def test_too_many_logins_at_once_are_not_taken_for_an_absent_database(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.set_password("secret")
    await door.authenticator.basic("alice", "secret", source=SOURCE)
    door.clock.advance(door.settings.remember_s + 1)
    monkeypatch.setattr(door.hasher, "_free", 0)
    for _ in range(20):
        with pytest.raises(Unavailable, match="Too many logins at once"):
            await door.authenticator.basic("alice", "secret", source=SOURCE)


async def test_a_changed_password_is_not_remembered_when_the_database_goes(door: Door) -> None:
    await door.set_password("old")
    await door.authenticator.basic("alice", "old", source=SOURCE)
    await door.set_password("new")
    door.clock.advance(door.settings.remember_s + 1)
    await door.wrong("alice", "old")
    door.accounts.away = True
    with pytest.raises(Unavailable):
        await door.authenticator.basic("alice", "old", source=SOURCE)


async def test_a_token_names_its_user_and_its_vm(door: Door) -> None:
    door.accounts.give(TOKEN, ALICE, door.clock.now() + DAY, only_vm=7)
    found = await door.authenticator.bearer(TOKEN, source=SOURCE)
    assert (found.user_id, found.only_vm) == (ALICE.user_id, VmId(7))


async def test_an_unknown_token_is_refused(door: Door) -> None:
    with pytest.raises(Unauthenticated):
        await door.authenticator.bearer("rubbish", source=SOURCE)


async def test_many_good_tokens_behind_one_address_are_all_let_in(door: Door) -> None:
    tokens = [f"token {number}" for number in range(40)]
    for token in tokens:
        door.accounts.give(token, ALICE, door.clock.now() + DAY)
    logins = [door.authenticator.bearer(token, source=SOURCE) for token in tokens]
    assert await asyncio.gather(*logins) == [ALICE] * 40


async def test_a_bad_token_tried_again_and_again_is_looked_up_once(door: Door) -> None:
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            await door.authenticator.bearer("expired", source=SOURCE)
    assert door.accounts.asked == 1
    door.accounts.give(TOKEN, ALICE, door.clock.now() + DAY)
    assert await door.authenticator.bearer(TOKEN, source=SOURCE) == ALICE


async def test_many_bad_tokens_of_one_address_keep_no_right_one_out(door: Door) -> None:
    for number in range(200):
        with pytest.raises(Unauthenticated):
            await door.authenticator.bearer(f"rubbish {number}", source=SOURCE)
    door.accounts.give(TOKEN, ALICE, door.clock.now() + DAY)
    assert await door.authenticator.bearer(TOKEN, source=SOURCE) == ALICE


async def test_without_the_database_no_token_is_throttled(door: Door) -> None:
    door.accounts.away = True
    for number in range(20):
        with pytest.raises(Unavailable):
            await door.authenticator.bearer(f"token {number}", source=SOURCE)


async def test_a_token_ends_even_while_the_database_is_away(door: Door) -> None:
    door.accounts.give(TOKEN, ALICE, door.clock.now() + timedelta(minutes=10))
    await door.authenticator.bearer(TOKEN, source=SOURCE)
    door.accounts.away = True
    door.clock.advance(9 * 60)
    await door.authenticator.bearer(TOKEN, source=SOURCE)
    door.clock.advance(2 * 60)
    with pytest.raises(Unavailable):
        await door.authenticator.bearer(TOKEN, source=SOURCE)


async def test_nothing_remembered_shows_a_password(door: Door) -> None:
    await door.set_password("hunter2secret")
    await door.authenticator.basic("alice", "hunter2secret", source=SOURCE)
    assert "hunter2secret" not in repr(vars(door.authenticator._verified))
