"""Guessing passwords: what it costs, and what nothing tells."""

import asyncio
import logging

import pytest

from qvdnode.auth.passwords import PasswordHasher
from qvdnode.model.errors import Throttled, Unauthenticated, Unavailable
from qvdnode.model.familiar_login import FamiliarLogin
from tests.fakes.accounts import principal
from tests.unit.auth.door import ALICE, ELSEWHERE, OTHER_ALICE, SOURCE, Door
from tests.waiting import until


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
    proofs = (("one more", "Summer2026"), ("alice", "secret"))
    held = [
        asyncio.create_task(door.authenticator.basic(login, password, source=SOURCE))
        for login, password in proofs
    ]
    await asyncio.sleep(0)
    asked = door.accounts.asked
    assert await door.authenticator.basic("alice", "secret", source=ELSEWHERE) == ALICE
    assert (door.accounts.asked, [task.done() for task in held]) == (asked, [False, False])

    async def all_answered() -> bool:
        door.clock.advance(0.1)
        return all(task.done() for task in held)

    await until(all_answered)
    with pytest.raises(Unauthenticated):
        await held[0]
    assert await held[1] == ALICE


async def test_whoever_logged_in_from_there_before_the_restart_gets_in_during_a_spray(
    door: Door,
) -> None:
    await door.set_password("secret")
    await door.authenticator.basic("alice", "secret", source=SOURCE)
    door.familiar.logins[ALICE.user_id] = FamiliarLogin("alice", "default", age_s=0.0)
    after = door.another()
    for number in range(door.settings.source_free_accounts):
        with pytest.raises(Unauthenticated):
            await after.basic(f"user{number}", "Summer2026", source=SOURCE)
    assert await after.basic("alice", "secret", source=SOURCE) == ALICE


async def test_not_each_login_is_written_down(door: Door) -> None:
    await door.set_password("secret")
    for _ in range(5):
        await door.authenticator.basic("alice", "secret", source=SOURCE)
        door.clock.advance(door.settings.remember_s + 1)
    assert door.familiar.noted == 1


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
        ("b...", SOURCE, "unknown account"),
        ("alice@default", SOURCE, "blocked account"),
        *[("alice@default", SOURCE, "wrong password")] * 3,
        ("a...", SOURCE, "must wait"),
        ("", SOURCE, "unknown or expired token"),
    ]
    assert "hunter" not in repr(lines)


async def test_a_guess_is_one_line_however_often_it_is_sent(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    await door.set_password("secret")
    with caplog.at_level(logging.INFO):
        for mistake in ("one", "two"):
            for _ in range(5):
                await door.wrong(password=mistake)
    assert caplog.messages.count("login_failed") == 2


async def test_a_login_with_a_domain_is_one_of_the_default_tenant_too(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    mail, windows = principal("ana@corp.example", user_id=7), principal("corp\\ana", user_id=8)
    for who in (mail, windows):
        door.accounts.add(who, await door.hasher.hash("secret"))
    basic = door.authenticator.basic
    assert await basic("Ana@corp.example", "secret", source=SOURCE) == mail
    assert await basic("ana@corp.example@default", "secret", source=SOURCE) == mail
    assert await basic("CORP\\Ana", "secret", source=SOURCE) == windows
    with caplog.at_level(logging.INFO):
        await door.wrong("ana@corp.example", "other")
    assert vars(caplog.records[-1])["login"] == "ana@corp.example@default"
