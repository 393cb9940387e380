"""A backup, restored: the same farm again."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.audit import Audit, AuditEntry
from qvdnode.db.backup import TABLES, backup
from qvdnode.db.familiar_sources import FamiliarSources
from qvdnode.db.farm import Farm, FarmRow
from qvdnode.db.image_refs import RefMove, RefName
from qvdnode.db.images import Images, NewCommit
from qvdnode.db.migrate import steps
from qvdnode.db.nodes import Nodes
from qvdnode.db.ownership import Ownership
from qvdnode.db.placements import Placements
from qvdnode.db.pool import Database
from qvdnode.db.restore import restore
from qvdnode.db.rollouts import Rollouts
from qvdnode.db.sessions import Sessions
from qvdnode.db.settings import DatabaseSettings
from qvdnode.db.tenants import Tenants
from qvdnode.db.user_tokens import UserTokens
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.model.errors import BadConfig, Conflict, HostFailed, Invalid, Unavailable
from qvdnode.model.ids import FarmId
from qvdnode.model.image_commit import CommitRecord
from qvdnode.model.listing import Page
from qvdnode.model.principal import Principal
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.clock import SystemClock
from tests.fixtures_postgres import PostgresServer, fresh_database
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres

SAME: tuple[str, ...] = tuple(name for name in TABLES if name not in ("vm", "node", "session"))


@pytest.fixture
async def other(postgres_server: PostgresServer) -> AsyncIterator[Database]:
    """A second, empty farm."""
    async with fresh_database(postgres_server) as dsn:
        db = await Database.open(dsn, DatabaseSettings(), SystemClock(), random.Random(1))
        yield db
        await db.close()


async def fill(db: Database) -> None:
    """A row or more in every table, with odd characters."""
    sample = await make_sample(db)
    commit = CommitRecord("a" * 64, ("b" * 64,), b"\x00\xff\\commit\n")
    move = RefMove(RefName("main"), commit.name, "alice", "why", anywhere=True)
    await Images(db).add_version(sample.image.id, size_bytes=5, made=NewCommit([commit], move))
    await Images(db).delete((await Images(db).create("gone")).id)
    seat = await Nodes(db).join("one", "boot", "::1")
    generation = await Ownership(db, seat).acquire(sample.vm.id)
    await Rollouts(db).set_tags(sample.vm.id, ["pilot"])
    await Rollouts(db).note_start(sample.vm.id, generation, sample.image.id, 1)
    await Placements(db).keep(sample.vm.id, seat.node_id, seat.node_id, ['one: "odd", {braces}'])
    await Sessions(db).opened(sample.vm.id, sample.user.id, seat.node_id, source="::1", client=None)
    await FamiliarSources(db).note(sample.user.id, "2001:db8:1:2::/64")
    await ApiTokens(db).add("robot", b"\x00\xff\\digest\n")
    principal = Principal(sample.user.id, sample.tenant.id, "alice", "default")
    await UserTokens(db).issue(principal, only_vm=sample.vm.id)
    entry = AuditEntry("robot", "x", "vm", None, {"odd": "tab\t, line\n, \\N, \u20ac"}, "c")
    await Audit(db).write(entry)
    farm = Farm(db)
    await farm.create(FarmRow(FarmId("farm"), "-----BEGIN", b"\x00\xffsealed\n"))
    await farm.invite("secret", name=None, life_s=600)


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def rows(db: Database, tables: tuple[str, ...]) -> dict[str, list[tuple[object, ...]]]:
    return {
        name: [tuple(row) for row in await db.fetch(f"SELECT * FROM {name} ORDER BY 1, 2")]
        for name in tables
    }


async def test_a_round_trip_keeps_every_row(
    database: Database, other: Database, tmp_path: Path
) -> None:
    await fill(database)
    saved = await backup(database, tmp_path / "b.tar", {})
    empty = {table.name for table in saved.tables if not table.rows}
    assert empty == {"image_rollout"}
    await restore(other, tmp_path / "b.tar", force=False)
    # Where homes are is found out anew: they may be restored on another host.
    await database.execute("UPDATE app_user SET home_node = NULL")
    assert await rows(other, SAME) == await rows(database, SAME)


async def test_a_restored_vm_is_stopped_with_a_generation_never_handed_out(
    database: Database, other: Database, tmp_path: Path
) -> None:
    await fill(database)
    await backup(database, tmp_path / "b.tar", {})
    await restore(other, tmp_path / "b.tar", force=False)
    (before,) = (await Vms(database).list(Page())).items
    (after,) = (await Vms(other).list(Page())).items
    assert after.generation > before.generation + 100
    assert (after.state, after.owner_node) == (VmState.STOPPED, None)
    assert (await Sessions(other).list(Page(), open_only=True)).items == ()


async def test_new_things_get_new_ids_after_a_restore(
    database: Database, other: Database, tmp_path: Path
) -> None:
    await fill(database)
    await backup(database, tmp_path / "b.tar", {})
    await restore(other, tmp_path / "b.tar", force=False)
    tenant = await Tenants(other).by_name("default")
    (alice,) = (await Users(other).list(Page())).items
    assert (await Users(other).create(tenant.id, "bob", "h")).id > alice.id


async def test_an_id_given_out_after_the_backup_is_not_given_again(
    database: Database, other: Database, tmp_path: Path
) -> None:
    """Homes stay on the host by the ids of their users."""
    await fill(database)
    await backup(database, tmp_path / "b.tar", {})
    tenant = await Tenants(database).by_name("default")
    mallory = await Users(database).create(tenant.id, "mallory", "h")
    await Users(database).delete(mallory.id)
    await database.execute("UPDATE node SET state = 'left'")
    await restore(database, tmp_path / "b.tar", force=True)
    assert (await Users(database).create(tenant.id, "bob", "h")).id > mallory.id
    # nor where the database was lost, and nobody knows any more what it had given out
    await restore(other, tmp_path / "b.tar", force=False)
    assert (await Users(other).create(tenant.id, "bob", "h")).id > mallory.id


async def test_a_database_with_content_is_replaced_only_by_force(
    database: Database, other: Database, tmp_path: Path
) -> None:
    await fill(database)
    await backup(database, tmp_path / "b.tar", {})
    tenant = await Tenants(other).by_name("default")
    await Users(other).create(tenant.id, "mallory", "h")
    with pytest.raises(Conflict, match="--force"):
        await restore(other, tmp_path / "b.tar", force=False)
    assert [user.login for user in (await Users(other).list(Page())).items] == ["mallory"]
    await restore(other, tmp_path / "b.tar", force=True)
    assert [user.login for user in (await Users(other).list(Page())).items] == ["alice"]


async def test_what_only_a_start_left_may_be_replaced(
    database: Database, other: Database, tmp_path: Path
) -> None:
    await fill(database)
    await backup(database, tmp_path / "b.tar", {})
    seat = await Nodes(other).join("one", "boot", "::1")
    await Nodes(other).leave(seat.node_id, seat.epoch, guests_stay=True)
    await ApiTokens(other).add("first-admin", b"digest")
    await restore(other, tmp_path / "b.tar", force=False)
    assert [user.login for user in (await Users(other).list(Page())).items] == ["alice"]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("INSERT INTO tenant (name) VALUES ('acme'), ('ajax')", "2 tenants"),
        ("UPDATE tenant SET blocked = true", "1 tenant,"),
        ("INSERT INTO image (name) VALUES ('icewm')", "1 image"),
        (
            "INSERT INTO api_token (name, digest, role) VALUES ('robot', 'x', 'admin')",
            "1 API token",
        ),
        (
            "INSERT INTO session (vm_id, user_id, node_id, source) VALUES (1, 1, 1, '::1')",
            "1 session",
        ),
        (
            """INSERT INTO audit (actor, action, object_kind, detail, correlation)
            VALUES ('a', 'b', 'c', '{}', 'd'), ('a', 'b', 'c', '{}', 'e')""",
            "2 audit entries",
        ),
    ],
)
async def test_whatever_somebody_made_is_kept_and_named(
    database: Database, other: Database, tmp_path: Path, made: str, told: str
) -> None:
    await backup(database, tmp_path / "b.tar", {})
    await other.execute(made)
    before = await rows(other, TABLES)
    with pytest.raises(Conflict, match=f"{told}.*--force"):
        await restore(other, tmp_path / "b.tar", force=False)
    assert await rows(other, TABLES) == before


async def test_nothing_is_replaced_under_a_node_that_serves(
    database: Database, other: Database, tmp_path: Path
) -> None:
    await backup(database, tmp_path / "b.tar", {})
    await Nodes(other).join("desk1", "boot", "::1")
    with pytest.raises(Conflict, match="in use by desk1"):
        await restore(other, tmp_path / "b.tar", force=True)


async def test_a_backup_of_an_older_schema_ends_in_the_newest(
    database: Database, other: Database, tmp_path: Path
) -> None:
    await backup(database, tmp_path / "b.tar", {})
    await other.execute("UPDATE schema_version SET version = 0")
    await restore(other, tmp_path / "b.tar", force=True)
    assert await other.fetchval("SELECT version FROM schema_version") == len(steps())


async def test_a_restore_that_fails_changes_nothing(
    database: Database, other: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(database)
    await backup(database, tmp_path / "b.tar", {})
    before = await rows(other, TABLES)
    monkeypatch.setattr("qvdnode.db.restore.SET_AHEAD", ("SELECT 1/0",))
    with pytest.raises(Invalid):
        await restore(other, tmp_path / "b.tar", force=True)
    assert await rows(other, TABLES) == before


async def test_a_schema_that_is_not_this_programs_is_not_backed_up(
    database: Database, tmp_path: Path
) -> None:
    await database.execute("UPDATE schema_version SET version = 9999")
    with pytest.raises(Conflict, match="9999"):
        await backup(database, tmp_path / "b.tar", {})
    assert left_in(tmp_path) == []


async def test_a_backup_of_a_newer_program_is_refused(
    database: Database, other: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backup(database, tmp_path / "b.tar", {})
    monkeypatch.setattr("qvdnode.db.restore.steps", lambda: steps()[:-1])
    with pytest.raises(BadConfig, match="upgrade"):
        await restore(other, tmp_path / "b.tar", force=False)


async def test_a_place_that_cannot_be_written_is_named(database: Database, tmp_path: Path) -> None:
    with pytest.raises(HostFailed) as caught:
        await backup(database, tmp_path / "gone" / "b.tar", {})
    to = tmp_path / "gone" / "b.tar"
    assert str(caught.value) == f"The backup cannot be written to {to}: No such file or directory."


async def test_an_absent_database_leaves_no_file(tmp_path: Path) -> None:
    absent = await Database.open(
        "postgresql://u@/d?host=/nonexistent", DatabaseSettings(), SystemClock(), random.Random(1)
    )
    with pytest.raises(Unavailable):
        await backup(absent, tmp_path / "b.tar", {})
    assert left_in(tmp_path) == []
