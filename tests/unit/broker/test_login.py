"""A login is checked once per connection, and again when its time is over or its bytes differ."""

import base64

import pytest

from qvdnode.broker.login import ConnectionLogin
from qvdnode.model.errors import Unauthenticated
from tests.fakes.clock import ManualClock
from tests.fakes.desktops import FakeAuthenticator


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


ALICE = basic("alice@acme:secret")


async def test_the_same_bytes_are_checked_once() -> None:
    authenticator = FakeAuthenticator()
    login = ConnectionLogin(authenticator, ManualClock(), "::1", check_s=60)
    first = await login.principal(ALICE)
    assert await login.principal(ALICE) is first
    assert authenticator.checks == 1
    assert (first.login, first.tenant) == ("alice", "acme")


async def test_it_is_checked_again_after_a_while() -> None:
    authenticator, clock = FakeAuthenticator(), ManualClock()
    login = ConnectionLogin(authenticator, clock, "::1", check_s=60)
    await login.principal(ALICE)
    clock.advance(61)
    authenticator.passwords.clear()
    with pytest.raises(Unauthenticated):
        await login.principal(ALICE)


async def test_it_is_checked_again_once_somebody_was_forgotten() -> None:
    authenticator = FakeAuthenticator()
    login = ConnectionLogin(authenticator, ManualClock(), "::1", check_s=60)
    await login.principal(ALICE)
    assert login.good
    authenticator.passwords["alice@acme"] = "changed"
    authenticator.forgotten += 1
    with pytest.raises(Unauthenticated):
        await login.principal(ALICE)
    assert not login.good


async def test_a_wrong_login_forgets_the_right_one() -> None:
    authenticator = FakeAuthenticator()
    login = ConnectionLogin(authenticator, ManualClock(), "::1", check_s=60)
    await login.principal(ALICE)
    for wrong in (basic("alice@acme:wrong"), "", "Basic ?"):
        with pytest.raises(Unauthenticated):
            await login.principal(wrong)
    await login.principal(ALICE)
    assert authenticator.checks == 3


async def test_a_bearer_token_logs_in() -> None:
    authenticator = FakeAuthenticator(tokens={"tok": "alice@acme"})
    login = ConnectionLogin(authenticator, ManualClock(), "::1", check_s=60)
    header = "Bearer " + base64.b64encode(b"tok").decode()
    assert (await login.principal(header)).login == "alice"
