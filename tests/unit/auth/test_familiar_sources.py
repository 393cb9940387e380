"""Who is familiar where, with the database and without."""

import asyncio

from qvdnode.auth.core.login_source import LoginSource, account_digest
from qvdnode.auth.familiar_sources import (
    LEARN_EVERY_S,
    PATIENCE_S,
    SAVE_EVERY_S,
    TABLE_MAX,
    FamiliarSources,
)
from qvdnode.model.familiar_login import FamiliarLogin
from qvdnode.model.ids import UserId
from qvdnode.model.source_network import source_networks
from tests.fakes.accounts import FakeFamiliarStore
from tests.fakes.clock import ManualClock

HERE, THERE = "192.0.2.1", "192.0.2.2"
SECRET = b"s" * 32
ALICE = UserId(1)


class World:
    """A node's memory and the database behind it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = FakeFamiliarStore({ALICE: FamiliarLogin("alice", "acme", age_s=10.0)})
        self.sources = FamiliarSources(self.store, self.clock, SECRET)

    def login_source(self, source: str = HERE, account: str = "alice@acme") -> LoginSource:
        return LoginSource(account_digest(account, SECRET), source_networks(source))

    def knows(self, source: str = HERE) -> bool:
        return self.sources.table.knows(self.login_source(source), self.clock.monotonic_s())


async def test_what_the_database_knows_is_learned_for_the_one_network() -> None:
    world = World()
    await world.store.note(ALICE, HERE)
    assert not world.knows()
    await world.sources.learn(world.login_source(account="somebody@else"))
    assert world.knows()
    assert not world.knows(THERE)


async def test_the_database_is_asked_once_a_minute_about_a_network() -> None:
    world = World()
    await asyncio.gather(*(world.sources.learn(world.login_source()) for _ in range(50)))
    await world.sources.learn(world.login_source(THERE))
    assert world.store.asked == 2
    await world.store.note(ALICE, HERE)
    world.clock.advance(LEARN_EVERY_S)
    await world.sources.learn(world.login_source())
    assert world.store.asked == 3
    assert world.knows()


async def test_without_the_database_what_is_remembered_counts_and_it_is_asked_again_later() -> None:
    world = World()
    await world.store.note(ALICE, HERE)
    world.store.away = True
    world.sources.table.note(world.login_source(THERE), world.clock.monotonic_s())
    for source in (HERE, THERE, HERE):
        await world.sources.learn(world.login_source(source))
    assert world.store.asked == 1
    assert world.knows(THERE)
    world.store.away = False
    world.clock.advance(PATIENCE_S)
    await world.sources.learn(world.login_source())
    assert world.knows()


async def test_the_database_is_told_of_a_login_once_a_day() -> None:
    world = World()
    for source in (HERE, HERE, THERE):
        await world.sources.save(ALICE, world.login_source(source))
    assert world.store.noted == 2
    world.clock.advance(SAVE_EVERY_S)
    await world.sources.save(ALICE, world.login_source())
    assert world.store.noted == 3
    assert world.store.rows == {HERE: {ALICE}, THERE: {ALICE}}


async def test_what_it_could_not_be_told_is_told_next_time() -> None:
    world = World()
    world.store.away = True
    await world.sources.save(ALICE, world.login_source())
    world.store.away = False
    await world.sources.save(ALICE, world.login_source())
    assert world.store.rows == {HERE: {ALICE}}


async def test_its_own_tables_are_bounded() -> None:
    world = World()
    for number in range(TABLE_MAX + 5):
        await world.sources.save(UserId(number), world.login_source())
    assert len(world.sources._saved) == TABLE_MAX
