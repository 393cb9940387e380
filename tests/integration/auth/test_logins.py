"""Logins against PostgreSQL: blocks and new passwords count, and so does its absence."""

import random
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from qvdnode.auth.authenticator import Authenticator
from qvdnode.auth.operators import Operators
from qvdnode.auth.passwords import PasswordHasher
from qvdnode.auth.ports import LoginStores
from qvdnode.auth.settings import AuthSettings
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.familiar_sources import FamiliarSources
from qvdnode.db.migrate import migrate
from qvdnode.db.pool import Database
from qvdnode.db.settings import DatabaseSettings
from qvdnode.db.tenants import Tenants
from qvdnode.db.user_tokens import UserTokens
from qvdnode.db.users import Users
from qvdnode.model.errors import Throttled, Unauthenticated, Unavailable
from qvdnode.model.farm import User
from qvdnode.runtime.clock import Clock, SystemClock
from tests.fixtures_postgres import state_folder
from tests.waiting import until

pytestmark = pytest.mark.postgres

SOURCE = "192.0.2.1"


@dataclass(slots=True)
class Door:
    """Alice, whose password is `secret`, and what checks it."""

    db: Database
    hasher: PasswordHasher
    authenticator: Authenticator
    alice: User

    async def refused(self, login: str = "alice", password: str = "secret") -> None:
        with pytest.raises(Unauthenticated):
            await self.authenticator.basic(login, password, source=SOURCE)


class Waits(SystemClock):
    """A clock that notes for how long logins are made to wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await super().sleep(seconds)


def make_authenticator(
    db: Database, hasher: PasswordHasher, settings: AuthSettings, clock: Clock | None = None
) -> Authenticator:
    """What another process on this database has."""
    stores = LoginStores(Users(db), UserTokens(db), FamiliarSources(db))
    return Authenticator(stores, hasher, clock or SystemClock(), settings, random.Random(1))


async def make_door(db: Database) -> Door:
    hasher = PasswordHasher()
    tenant = await Tenants(db).by_name("default")
    alice = await Users(db).create(tenant.id, "alice", await hasher.hash("secret"))
    authenticator = make_authenticator(db, hasher, AuthSettings(remember_s=0))
    return Door(db, hasher, authenticator, alice)


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    made = await make_door(database)
    yield made
    made.hasher.close()


async def test_a_login_and_its_token_are_the_same_user(door: Door) -> None:
    principal = await door.authenticator.basic("alice", "secret", source=SOURCE)
    assert principal.user_id == door.alice.id
    _, token = await UserTokens(door.db).issue(principal)
    assert await door.authenticator.bearer(token, source=SOURCE) == principal


async def test_a_blocked_user_or_tenant_is_refused_with_password_and_token(door: Door) -> None:
    principal = await door.authenticator.basic("alice", "secret", source=SOURCE)
    _, token = await UserTokens(door.db).issue(principal)
    for table in ("app_user", "tenant"):
        await door.db.execute(f"UPDATE {table} SET blocked = true")
        await door.refused()
        with pytest.raises(Unauthenticated):
            await door.authenticator.bearer(token, source=SOURCE)
        await door.db.execute(f"UPDATE {table} SET blocked = false")
    await door.authenticator.basic("alice", "secret", source=SOURCE)


async def test_a_new_password_counts_at_once(door: Door) -> None:
    principal = await door.authenticator.basic("alice", "secret", source=SOURCE)
    _, token = await UserTokens(door.db).issue(principal)
    await door.authenticator.bearer(token, source=SOURCE)
    await Users(door.db).set_password_hash(door.alice.id, await door.hasher.hash("new"))
    door.authenticator.forget(door.alice.id)
    await door.refused()
    with pytest.raises(Unauthenticated):
        await door.authenticator.bearer(token, source=SOURCE)
    await door.authenticator.basic("alice", "new", source=SOURCE)


async def test_a_stolen_token_does_not_live_on_in_those_it_makes(door: Door) -> None:
    principal = await door.authenticator.basic("alice", "secret", source=SOURCE)
    tokens = UserTokens(door.db)
    _, token = await tokens.issue(principal)
    await door.db.execute(
        "UPDATE user_token SET expires_at = clock_timestamp() + interval '1 second'"
    )
    for _ in range(3):
        thief = await door.authenticator.bearer(token, source=SOURCE)
        _, token = await tokens.issue(thief)
    await until_refused(door, token)


async def until_refused(door: Door, token: str) -> None:
    async def refused() -> bool:
        try:
            await door.authenticator.bearer(token, source="192.0.2.7")
        except Unauthenticated:
            return True
        return False

    await until(refused, limit_s=30)


async def test_a_password_is_not_guessed_past_the_throttle(door: Door) -> None:
    settings = AuthSettings()
    remembering = make_authenticator(door.db, door.hasher, settings)
    await remembering.basic("alice", "secret", source="192.0.2.9")
    outcomes = []
    for guess in [*(f"guess {number}" for number in range(200)), "secret"]:
        try:
            await remembering.basic("alice", guess, source=SOURCE)
        except (Unauthenticated, Throttled) as error:
            outcomes.append(type(error))
    assert outcomes[5:] == [Throttled] * 196
    assert outcomes[:5] == [Unauthenticated] * 5


async def test_after_a_restart_and_on_other_nodes_a_user_gets_in_past_a_spray_from_their_address(
    door: Door,
) -> None:
    settings, clock = AuthSettings(), Waits()
    await door.authenticator.basic("alice", "secret", source=SOURCE)
    after = make_authenticator(door.db, door.hasher, settings, clock)
    for number in range(settings.source_free_accounts):
        with pytest.raises(Unauthenticated):
            await after.basic(f"account{number}", "Summer2026", source=SOURCE)
    assert (await after.basic("alice", "secret", source=SOURCE)).user_id == door.alice.id
    assert clock.seconds == []
    with pytest.raises(Unauthenticated):
        await after.basic("stranger", "secret", source=SOURCE)
    assert clock.seconds


@pytest.mark.parametrize("login", ["bob", "alice@nowhere", "a\x00b", "\udcff", "", "' OR 1=1 --"])
async def test_odd_names_are_just_wrong(door: Door, login: str) -> None:
    await door.refused(login)
    assert door.db.available


async def test_the_administrators_token_lives_in_the_database(database: Database) -> None:
    operators = Operators(ApiTokens(database), SystemClock(), AuthSettings())
    token_id, token = await operators.issue("robot")
    assert (await operators.operator(token)).token_id == token_id
    await operators.revoke(token_id)
    with pytest.raises(Unauthenticated):
        await operators.operator(token)


@pytest.mark.timeout(60)
async def test_a_known_login_survives_the_database_and_a_new_one_is_told() -> None:
    settings = DatabaseSettings(state_dir=state_folder())
    server = EmbeddedPostgres(settings, SystemClock())
    try:
        db = await Database.open(await server.start(), settings, SystemClock(), random.Random(1))
        await migrate(db)
        door = await make_door(db)
        principal = await door.authenticator.basic("alice", "secret", source=SOURCE)
        await server.stop()
        assert await door.authenticator.basic("alice", "secret", source=SOURCE) == principal
        for login, password in (("alice", "wrong"), ("bob", "secret")):
            with pytest.raises(Unavailable):
                await door.authenticator.basic(login, password, source=SOURCE)
        await db.close()
        door.hasher.close()
    finally:
        await server.stop()
        shutil.rmtree(settings.state_dir)
