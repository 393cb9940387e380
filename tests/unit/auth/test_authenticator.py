"""Logins, good and bad, with and without the database."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta

import pytest

from qvdnode.auth.authenticator import Authenticator
from qvdnode.auth.passwords import PasswordHasher
from qvdnode.auth.settings import AuthSettings
from qvdnode.model.errors import Throttled, Unauthenticated, Unavailable
from qvdnode.model.ids import TenantId, UserId, VmId
from tests.fakes.accounts import FakeAccounts, principal
from tests.fakes.clock import ManualClock

SOURCE, ELSEWHERE = "192.0.2.1", "192.0.2.9"
ALICE = principal("alice")
OTHER_ALICE = principal("alice", "acme", user_id=2)
TOKEN = "t0ken"
DAY = timedelta(hours=24)


class Door:
    """An authenticator with one user and all that is around it."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self.clock = ManualClock()
        self.accounts = FakeAccounts()
        self.hasher = hasher
        self.settings = AuthSettings()
        self.authenticator = Authenticator(
            self.accounts, self.accounts, self.hasher, self.clock, self.settings
        )

    async def set_password(self, password: str, *, blocked: bool = False) -> None:
        self.accounts.add(ALICE, await self.hasher.hash(password), blocked=blocked)

    async def wrong(self, login: str = "alice", password: str = "wrong") -> None:
        with pytest.raises(Unauthenticated):
            await self.authenticator.basic(login, password, source=SOURCE)

    async def exhaust(self, guesses: int = 5) -> None:
        for number in range(guesses):
            await self.wrong(password=f"exhausting {number}")

    async def outcomes(self, passwords: Iterable[str]) -> list[type]:
        """What Alice's login gives with each of these passwords, all at once."""
        attempts = [self.authenticator.basic("alice", one, source=SOURCE) for one in passwords]
        return [type(one) for one in await asyncio.gather(*attempts, return_exceptions=True)]


@pytest.fixture(scope="module")
def hasher() -> Iterator[PasswordHasher]:
    made = PasswordHasher(threads=1)
    yield made
    made.close()


@pytest.fixture
def door(hasher: PasswordHasher) -> Door:
    return Door(hasher)


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


@pytest.mark.parametrize("remembered", [False, True])
async def test_every_refusal_takes_one_hash_whoever_it_is(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch, *, remembered: bool
) -> None:
    """Also while the right password is remembered from elsewhere; while one must wait, none."""
    door = Door(hasher)
    await door.set_password("secret")
    door.accounts.add(OTHER_ALICE, await hasher.hash("other"), blocked=True)
    if remembered:
        await door.authenticator.basic("alice", "secret", source=ELSEWHERE)
    hashed: list[str] = []
    real = hasher.verify

    async def counted(password_hash: str, password: str) -> bool:
        hashed.append(password)
        return await real(password_hash, password)

    monkeypatch.setattr(hasher, "verify", counted)
    cases = [("alice", "wrong"), ("bob", "wrong"), ("alice@nowhere", "wrong"), ("\x00", "wrong"),
             ("alice@acme", "wrong"), ("alice@acme", "other"), ("bob", "secret")]  # fmt: skip
    for login, password in cases:
        await door.wrong(login, password)
    assert hashed == [password for _, password in cases]
    await door.exhaust(4)
    hashed.clear()
    assert await door.outcomes(["secret", "not it"]) == [Throttled] * 2
    assert hashed == []


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


async def test_five_wrong_passwords_at_once_are_refused_and_the_sixth_is_throttled(
    door: Door,
) -> None:
    await door.set_password("secret")
    kinds = await door.outcomes(f"wrong {number}" for number in range(6))
    assert kinds == [Unauthenticated] * 5 + [Throttled]


async def test_the_same_wrong_password_at_once_costs_one_check_and_is_one_guess(
    door: Door,
) -> None:
    await door.set_password("secret")
    assert await door.outcomes(["wrong"] * 30) == [Unauthenticated] * 30
    assert door.accounts.asked == 1


async def test_a_second_and_a_fourth_mistake_of_five_tries_each_are_told_as_such(
    door: Door,
) -> None:
    await door.set_password("secret")
    for mistake in ("one", "two", "three", "four"):
        for _ in range(5):
            await door.wrong(password=mistake)
    assert await door.authenticator.basic("alice", "secret", source=SOURCE) == ALICE


async def test_the_fifth_mistake_is_told_five_times_too_and_then_any_password_waits(
    door: Door,
) -> None:
    await door.set_password("secret")
    for mistake in ("one", "two", "three", "four", "five"):
        for _ in range(5):
            await door.wrong(password=mistake)
    assert await door.outcomes(["five", "six", "secret"]) == [Throttled] * 3


async def test_the_right_password_still_works_from_elsewhere_during_an_attack(door: Door) -> None:
    await door.set_password("secret")
    await door.exhaust()
    with pytest.raises(Throttled):
        await door.authenticator.basic("alice", "secret", source=SOURCE)
    assert await door.authenticator.basic("alice", "secret", source=ELSEWHERE) == ALICE


async def test_a_remembered_login_helps_no_guessing(door: Door) -> None:
    await door.set_password("secret")
    await door.authenticator.basic("alice", "secret", source=ELSEWHERE)
    await door.exhaust()
    guesses = [f"guess {number}" for number in range(200)]
    assert await door.outcomes([*guesses, "secret", *guesses]) == [Throttled] * 401
    for _ in range(3):
        assert await door.authenticator.basic("alice", "secret", source=ELSEWHERE) == ALICE


async def test_a_guess_that_waits_cannot_join_the_check_of_the_right_password(door: Door) -> None:
    await door.set_password("secret")
    await door.exhaust(4)
    own = asyncio.create_task(door.authenticator.basic("alice", "secret", source=SOURCE))
    await asyncio.sleep(0)
    assert await door.outcomes(["secret", "wrong"]) == [Throttled] * 2
    assert await own == ALICE


async def test_a_remembered_login_that_comes_in_all_the_time_forgives_no_guesses(
    door: Door,
) -> None:
    await door.set_password("secret")
    for number in range(5):
        await door.authenticator.basic("alice", "secret", source=SOURCE)
        await door.wrong(password=f"guess {number}")
    assert await door.outcomes(["guess"]) == [Throttled]


async def test_without_the_database_a_remembered_login_helps_no_guessing(door: Door) -> None:
    await door.set_password("secret")
    await door.authenticator.basic("alice", "secret", source=ELSEWHERE)
    door.accounts.away = True
    door.clock.advance(door.settings.remember_s + 1)
    guesses = [f"guess {number}" for number in range(200)]
    for guess in [*guesses, "secret"]:
        assert await door.outcomes([guess]) == [Unavailable]
    assert await door.authenticator.basic("alice", "secret", source=ELSEWHERE) == ALICE
    door.accounts.away = False
    assert await door.authenticator.basic("alice", "secret", source=SOURCE) == ALICE


async def test_a_full_queue_of_checks_helps_no_guessing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.set_password("secret")
    await door.authenticator.basic("alice", "secret", source=ELSEWHERE)
    monkeypatch.setattr(door.hasher, "_free", 0)
    guesses = [f"guess {number}" for number in range(20)]
    for guess in [*guesses, "secret"]:
        assert await door.outcomes([guess]) == [Unavailable]
    assert await door.authenticator.basic("alice", "secret", source=ELSEWHERE) == ALICE


async def test_a_client_that_hangs_up_has_made_a_guess_all_the_same(door: Door) -> None:
    await door.set_password("secret")
    for number in range(5):
        guess = door.authenticator.basic("alice", f"guess {number}", source=SOURCE)
        task = asyncio.create_task(guess)
        await asyncio.sleep(0)
        task.cancel()
    assert await door.outcomes(["secret"]) == [Throttled]


async def test_another_connection_takes_over_from_a_client_that_hangs_up(door: Door) -> None:
    await door.set_password("secret")
    first, second = (
        asyncio.create_task(door.authenticator.basic("alice", "secret", source=SOURCE))
        for _ in range(2)
    )
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ALICE


async def test_one_password_over_many_accounts_slows_its_source_and_no_other(door: Door) -> None:
    await door.set_password("secret")
    await door.authenticator.basic("alice", "secret", source=ELSEWHERE)
    free = door.settings.source_free_accounts
    for number in range(free):
        await door.wrong(f"user{number}", "Summer2026")
    for login, password in (("one more", "Summer2026"), ("alice", "secret"), ("alice", "wrong")):
        with pytest.raises(Throttled):
            await door.authenticator.basic(login, password, source=SOURCE)
    assert await door.authenticator.basic("alice", "secret", source=ELSEWHERE) == ALICE
    door.clock.advance(1.01)
    assert await door.authenticator.basic("alice", "secret", source=SOURCE) == ALICE


async def test_failures_are_logged_with_their_reasons_and_without_secrets(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    await door.set_password("secret")
    with caplog.at_level(logging.INFO):
        await door.wrong("alice", "hunter2")
        await door.wrong("bob", "hunter2")
        await door.set_password("secret", blocked=True)
        await door.wrong("alice", "secret")
        await door.exhaust(3)
        await door.outcomes(["hunter3"])
        with pytest.raises(Unauthenticated):
            await door.authenticator.bearer("hunter2", source=SOURCE)
    lines = [vars(line) for line in caplog.records if line.message == "login_failed"]
    assert [(line["login"], line["source"], line["because"]) for line in lines] == [
        ("alice@default", SOURCE, "wrong password"),
        ("bob@default", SOURCE, "unknown account"),
        ("alice@default", SOURCE, "blocked account"),
        *[("alice@default", SOURCE, "wrong password")] * 3,
        ("alice@default", SOURCE, "must wait"),
        ("", SOURCE, "unknown or expired token"),
    ]
    assert "hunter" not in repr(lines)


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


async def test_a_bad_token_tried_again_and_again_delays_only_itself(door: Door) -> None:
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await door.authenticator.bearer("expired", source=SOURCE)
    with pytest.raises(Throttled):
        await door.authenticator.bearer("expired", source=SOURCE)
    assert door.accounts.asked == 5
    door.accounts.give(TOKEN, ALICE, door.clock.now() + DAY)
    assert await door.authenticator.bearer(TOKEN, source=SOURCE) == ALICE


async def test_many_bad_tokens_of_one_address_are_throttled(door: Door) -> None:
    for number in range(100):
        with pytest.raises(Unauthenticated):
            await door.authenticator.bearer(f"rubbish {number}", source=SOURCE)
    with pytest.raises(Throttled):
        await door.authenticator.bearer("rubbish 100", source=SOURCE)
    assert door.accounts.asked == 100


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
