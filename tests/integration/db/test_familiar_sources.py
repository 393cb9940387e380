"""From where users have logged in, in PostgreSQL."""

import asyncio

import pytest

from qvdnode.db.familiar_sources import PER_USER_MAX, FamiliarSources
from qvdnode.db.pool import Database
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.model.ids import UserId
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres

HERE, THERE = "192.0.2.1", "2001:db8:1:2::/64"
AGE = "UPDATE familiar_source SET seen_at = clock_timestamp() - $1::text::interval"


async def test_a_user_is_familiar_where_they_logged_in_and_nowhere_else(database: Database) -> None:
    sample = await make_sample(database)
    sources = FamiliarSources(database)
    await sources.note(sample.user.id, HERE)
    (found,) = await sources.of_network(HERE)
    assert (found.login, found.tenant, found.age_s) == ("alice", "default", 0.0)
    assert await sources.of_network(THERE) == []


async def test_a_login_is_written_again_after_a_day_and_forgotten_after_a_week_more(
    database: Database,
) -> None:
    sample = await make_sample(database)
    sources = FamiliarSources(database)
    await sources.note(sample.user.id, HERE)
    written = "SELECT xmin::text FROM familiar_source"
    first = await database.fetchval(written)
    await database.execute(AGE, "23 hours")
    aged = await database.fetchval(written)
    await sources.note(sample.user.id, HERE)
    assert await database.fetchval(written) == aged != first
    await database.execute(AGE, "7 days 23 hours")
    (found,) = await sources.of_network(HERE)
    assert abs(found.age_s - (6 * 24 + 23) * 3_600) < 60
    await sources.note(sample.user.id, HERE)
    (found,) = await sources.of_network(HERE)
    assert found.age_s == 0.0
    await database.execute(AGE, "8 days 1 minute")
    assert await sources.of_network(HERE) == []


async def test_a_user_keeps_the_networks_seen_last(database: Database) -> None:
    sample = await make_sample(database)
    sources = FamiliarSources(database)
    for number in range(PER_USER_MAX + 3):
        await sources.note(sample.user.id, f"192.0.2.{number}")
    rows = await database.fetch("SELECT network FROM familiar_source")
    kept = {row["network"] for row in rows}
    assert kept == {f"192.0.2.{number}" for number in range(3, PER_USER_MAX + 3)}
    await database.execute(AGE, "9 days")
    await sources.note(sample.user.id, HERE)
    assert await database.fetchval("SELECT count(*) FROM familiar_source") == 1


async def test_it_may_be_noted_at_once_and_goes_with_the_user(database: Database) -> None:
    sample = await make_sample(database)
    sources = FamiliarSources(database)
    await asyncio.gather(*(sources.note(sample.user.id, HERE) for _ in range(10)))
    assert len(await sources.of_network(HERE)) == 1
    await Vms(database).delete(sample.vm.id)
    await Users(database).delete(sample.user.id)
    assert await sources.of_network(HERE) == []
    await sources.note(UserId(sample.user.id), HERE)  # who is gone is not noted, and that is fine
    assert await database.fetchval("SELECT count(*) FROM familiar_source") == 0
