"""An authenticator with one user and all that is around it."""

import asyncio
import random
from collections.abc import Iterable

import pytest

from qvdnode.auth.authenticator import Authenticator
from qvdnode.auth.passwords import PasswordHasher
from qvdnode.auth.ports import LoginStores
from qvdnode.auth.settings import AuthSettings
from qvdnode.model.errors import Unauthenticated
from tests.fakes.accounts import FakeAccounts, FakeFamiliarStore, principal
from tests.fakes.clock import ManualClock

SOURCE, ELSEWHERE = "192.0.2.1", "192.0.2.9"
ALICE = principal("alice")
OTHER_ALICE = principal("alice", "acme", user_id=2)


class Door:
    """An authenticator with one user and all that is around it."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self.clock = ManualClock()
        self.accounts = FakeAccounts()
        self.hasher = hasher
        self.settings = AuthSettings()
        self.familiar = FakeFamiliarStore()
        self.authenticator = self.another()

    def another(self) -> Authenticator:
        """One more process with the same accounts, such as the node after a restart."""
        stores = LoginStores(self.accounts, self.accounts, self.familiar)
        return Authenticator(stores, self.hasher, self.clock, self.settings, random.Random(1))

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
