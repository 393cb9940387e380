"""Guests with an attacker in each."""

from collections.abc import Awaitable, Callable

import pytest

from tests.attacks.attacker import Attacker
from tests.fixtures_guest import RealGuests

Invade = Callable[[int], Awaitable[Attacker]]


@pytest.fixture
def invade(real_guests: RealGuests) -> Invade:
    """Launches guest number N and gives the attacker in it."""

    async def launched(number: int) -> Attacker:
        spec = await real_guests.spec(number)
        await real_guests.driver.launch(spec)
        return Attacker(real_guests, spec)

    return launched


@pytest.fixture
async def attacker(invade: Invade) -> Attacker:
    """The attacker in the only guest of a test."""
    return await invade(1)
