"""Copies of login data: whom they are of, how long they are good, and how one logs in by them."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from qvdnode.auth.login_copies import LoginCopies
from qvdnode.auth.settings import AuthSettings
from qvdnode.model.errors import Throttled, Unavailable
from qvdnode.model.ids import TenantId, UserId, VmId
from qvdnode.model.principal import Credentials, LoginCopy, TokenHolder
from qvdnode.runtime.tokens import digest
from tests.fakes.accounts import FakeAccounts
from tests.fakes.clock import ManualClock
from tests.unit.auth.door import ALICE, OTHER_ALICE, SOURCE, Door

TOKEN = "t0ken"
DAY = timedelta(hours=24)
BOTH = {ALICE.user_id, OTHER_ALICE.user_id}


class Copied:
    """Satisfies LoginCopyStore, from the accounts of a fake."""

    def __init__(self, accounts: FakeAccounts) -> None:
        self.accounts = accounts
        self.asked: list[list[UserId]] = []

    async def copies(self, user_ids: Sequence[UserId]) -> Sequence[LoginCopy]:
        self.asked.append(sorted(user_ids))
        if self.accounts.away:
            raise Unavailable("The database is away.")
        return [
            LoginCopy(found, self._tokens(found.principal.user_id))
            for found in self.accounts.users.values()
            if found.principal.user_id in user_ids
        ]

    def _tokens(self, user_id: UserId) -> dict[bytes, TokenHolder]:
        tokens = self.accounts.tokens
        return {key: one for key, one in tokens.items() if one.principal.user_id == user_id}


async def followed(door: Door, users: set[UserId] | None = None) -> Copied:
    """The node has copies of Alice's login data, or of these users'; the database is away."""
    store = Copied(door.accounts)
    await door.authenticator.copies.follow({ALICE.user_id} if users is None else users, store)
    door.accounts.away = True
    return store


async def test_a_user_whose_desktop_runs_logs_in_where_they_have_never_been(door: Door) -> None:
    await door.set_password("secret")
    await followed(door)
    assert await door.authenticator.basic("alice", "secret", source=SOURCE) == ALICE


async def test_a_wrong_password_is_refused_like_an_account_without_a_copy(door: Door) -> None:
    await door.set_password("secret")
    await followed(door)
    said = set()
    for login, password in (("alice", "wrong"), ("bob", "wrong"), ("\x00", ""), ("alice", "")):
        with pytest.raises(Unavailable) as refused:
            await door.authenticator.basic(login, password, source=SOURCE)
        said.add(str(refused.value))
    assert len(said) == 1


async def test_guessing_ends_the_answers_for_the_right_password_too(door: Door) -> None:
    await door.set_password("secret")
    await followed(door)
    for number in range(10):
        with pytest.raises((Unavailable, Throttled)):
            await door.authenticator.basic("alice", f"guess {number}", source=SOURCE)
    with pytest.raises((Unavailable, Throttled)):
        await door.authenticator.basic("alice", "secret", source=SOURCE)


async def test_a_blocked_user_is_not_let_in_by_a_copy(door: Door) -> None:
    await door.set_password("secret", blocked=True)
    await followed(door)
    with pytest.raises(Unavailable):
        await door.authenticator.basic("alice", "secret", source=SOURCE)


async def test_a_token_is_good_by_its_copy_until_it_expires(door: Door) -> None:
    await door.set_password("secret")
    door.accounts.give(TOKEN, ALICE, door.clock.now() + timedelta(seconds=100), only_vm=7)
    await followed(door)
    found = await door.authenticator.bearer(TOKEN, source=SOURCE)
    assert (found.user_id, found.only_vm) == (ALICE.user_id, VmId(7))
    with pytest.raises(Unavailable):
        await door.authenticator.bearer("another", source=SOURCE)
    door.clock.advance(101)
    with pytest.raises(Unavailable):
        await door.authenticator.bearer(TOKEN, source=SOURCE)


async def test_a_token_of_a_blocked_user_is_not_good_by_its_copy(door: Door) -> None:
    await door.set_password("secret")
    who = door.accounts.users[ALICE.login, ALICE.tenant].principal
    door.accounts.tokens[digest(TOKEN)] = TokenHolder(who, True, door.clock.now() + DAY)
    await followed(door)
    with pytest.raises(Unavailable):
        await door.authenticator.bearer(TOKEN, source=SOURCE)


async def test_a_copy_ends_although_it_is_used(door: Door) -> None:
    await door.set_password("secret")
    await followed(door)
    for _ in range(3):
        door.clock.advance(3600)
        assert await door.authenticator.basic("alice", "secret", source=SOURCE) == ALICE
    door.clock.advance(3601)
    with pytest.raises(Unavailable):
        await door.authenticator.basic("alice", "secret", source=SOURCE)


async def test_who_was_forgotten_is_not_let_in_by_a_copy(door: Door) -> None:
    await door.set_password("secret")
    door.accounts.add(OTHER_ALICE, await door.hasher.hash("other"))
    await followed(door, BOTH)
    door.authenticator.forget(ALICE.user_id)
    with pytest.raises(Unavailable):
        await door.authenticator.basic("alice", "secret", source=SOURCE)
    assert await door.authenticator.basic("alice#acme", "other", source=SOURCE) == OTHER_ALICE
    door.authenticator.forget_tenant(TenantId(OTHER_ALICE.tenant_id))
    with pytest.raises(Unavailable):
        await door.authenticator.basic("alice#acme", "other", source=SOURCE)


class Copies:
    """Copies of two users, read now."""

    def __init__(self, settings: AuthSettings | None = None) -> None:
        self.clock = ManualClock()
        self.accounts = FakeAccounts()
        for who in (ALICE, OTHER_ALICE):
            self.accounts.add(who, "hash")
        self.store = Copied(self.accounts)
        self.copies = LoginCopies(self.clock, settings or AuthSettings())


async def test_copies_are_read_once_and_again_when_they_are_old() -> None:
    world = Copies()
    for _ in range(3):
        await world.copies.follow(BOTH, world.store)
    assert world.store.asked == [[1, 2]]
    world.clock.advance(AuthSettings().remember_s + 1)
    await world.copies.follow(BOTH, world.store)
    assert world.store.asked == [[1, 2], [1, 2]]


async def test_who_has_no_desktop_any_more_has_no_copy() -> None:
    world = Copies()
    await world.copies.follow(BOTH, world.store)
    world.clock.advance(AuthSettings().remember_s + 1)
    await world.copies.follow({ALICE.user_id}, world.store)
    assert [one.user_id for one in world.copies.principals()] == [ALICE.user_id]
    assert world.copies.credentials(("alice", "acme")) is None
    assert world.copies.left_s(OTHER_ALICE.user_id) == 0


async def test_copies_stay_while_the_database_is_away() -> None:
    world = Copies()
    await world.copies.follow(BOTH, world.store)
    world.accounts.away = True
    world.clock.advance(AuthSettings().remember_s + 1)
    await world.copies.follow(set(), world.store)
    await world.copies.follow(BOTH, world.store)
    assert isinstance(world.copies.credentials(("alice", "default")), Credentials)


async def test_a_user_who_is_gone_has_no_copy_after_the_next_reading() -> None:
    world = Copies()
    await world.copies.follow(BOTH, world.store)
    del world.accounts.users["alice", "default"]
    world.clock.advance(AuthSettings().remember_s + 1)
    await world.copies.follow(BOTH, world.store)
    assert len(world.copies) == 1


async def test_a_change_during_the_reading_is_not_overwritten() -> None:
    world = Copies()

    class Changing(Copied):
        async def copies(self, user_ids: Sequence[UserId]) -> Sequence[LoginCopy]:
            read = await super().copies(user_ids)
            world.copies.forget([ALICE])
            return read

    await world.copies.follow(BOTH, Changing(world.accounts))
    assert len(world.copies) == 0
    await world.copies.follow(BOTH, world.store)
    assert len(world.copies) == 2


async def test_there_are_no_more_copies_than_logins_may_be_remembered() -> None:
    world = Copies(AuthSettings(remember_max=1))
    await world.copies.follow(BOTH, world.store)
    assert len(world.copies) == 1
