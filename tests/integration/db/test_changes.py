"""What the tables tell of their changes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.audit import Audit, AuditEntry
from qvdnode.db.browser_sessions import BrowserSessions, SessionLimits
from qvdnode.db.changes import ChangeFeed, parse
from qvdnode.db.pool import Database
from qvdnode.db.sessions import Sessions
from qvdnode.db.tenants import Tenants
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.model.change import Change
from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.model.principal import Operator
from qvdnode.runtime.supervise import Supervisor
from tests.integration.db.sample import make_sample
from tests.waiting import until

pytestmark = pytest.mark.postgres
LIMIT_S = 20.0


@dataclass(slots=True)
class Heard:
    """Satisfies Listener."""

    has_begun: bool = False
    changes: list[Change] = field(default_factory=list)
    wanted: bool = True

    def begun(self) -> None:
        """As Listener."""
        self.has_begun = True

    def deliver(self, change: Change) -> None:
        """As Listener."""
        self.changes.append(change)

    def is_wanted(self) -> bool:
        """As Listener."""
        return self.wanted

    async def first(self, kind: str, change: str) -> Change:
        """The first change of that kind, once it was heard of."""

        def found() -> list[Change]:
            return [item for item in self.changes if (item.kind, item.change) == (kind, change)]

        return (await until(found, limit_s=LIMIT_S))[0]


@asynccontextmanager
async def listening(database: Database) -> AsyncIterator[Heard]:
    heard = Heard()
    async with Supervisor("test") as tasks:
        _ = tasks.essential("feed", ChangeFeed(database).listen(heard))
        await until(lambda: heard.has_begun, limit_s=LIMIT_S)
        yield heard


async def test_every_table_tells_of_its_changes(database: Database) -> None:
    async with listening(database) as heard:
        made = await make_sample(database)
        vm = await heard.first("vm", "insert")
        assert (vm.id, vm.facts) == (made.vm.id, {"state": "stopped", "user": made.user.id})
        assert (await heard.first("user", "insert")).id == made.user.id
        assert (await heard.first("image", "insert")).id == made.image.id
        assert (await heard.first("flavour", "insert")).id == made.flavour.id
        await Tenants(database).create("acme")
        await heard.first("tenant", "insert")
        await Users(database).set_blocked(made.user.id, blocked=True)
        await heard.first("user", "update")
        sessions = Sessions(database)
        number = await sessions.opened(
            made.vm.id, made.user.id, NodeId(1), source="192.0.2.1", client=None
        )
        assert (await heard.first("session", "insert")).facts["vm"] == made.vm.id
        await sessions.closed(number, reason="left", bytes_in=1, bytes_out=1)
        assert "closed_at" in (await heard.first("session", "update")).facts
        await Vms(database).delete(made.vm.id)
        assert (await heard.first("vm", "delete")).id == made.vm.id
        assert "hash-of-alice" not in repr(heard.changes)


async def test_the_end_of_a_login_is_heard_of(database: Database) -> None:
    tokens = ApiTokens(database)
    async with listening(database) as heard:
        operator = Operator("ana", await tokens.add("ana", b"token"))
        login = await BrowserSessions(database, SessionLimits()).add(
            operator, b"key", source="", agent=""
        )
        await tokens.delete(operator.token_id)
        assert (await heard.first("login", "delete")).id == login.id
        assert (await heard.first("token", "delete")).id == operator.token_id
        await Audit(database).write(AuditEntry("ana", "vm.start", "vm", "7", {}, "c"))
        audit = await heard.first("audit", "insert")
        assert (audit.facts["actor"], audit.facts["action"]) == ("ana", "vm.start")


async def test_what_changes_nothing_to_see_is_no_news(database: Database) -> None:
    made = await make_sample(database)
    await database.execute(
        "INSERT INTO node (name, address, boot_id, epoch, state, lease_until)"
        " VALUES ('n1', 'a', 'b', 1, 'up', now())"
    )
    async with listening(database) as heard:
        await database.execute("UPDATE node SET lease_until = now()")
        await database.execute("UPDATE app_user SET password_hash = 'x'")
        await Vms(database).set_blocked(made.vm.id, blocked=False)
        await Vms(database).set_blocked(made.vm.id, blocked=True)
        await heard.first("vm", "update")
        assert [change.kind for change in heard.changes] == ["vm"]


async def test_loaded_backups_are_silent(database: Database) -> None:
    async with listening(database) as heard:
        async with database.transaction() as tx:
            await tx.execute("SET LOCAL qvdnode.silent = 'on'")
            await tx.execute("INSERT INTO tenant (name) VALUES ('quiet')")
        await Tenants(database).create("loud")
        await heard.first("tenant", "insert")
        assert len(heard.changes) == 1


async def test_a_lost_connection_is_noticed(database: Database) -> None:
    heard = Heard()
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )

    async def listen() -> None:
        with pytest.raises(Unavailable):
            await ChangeFeed(database).listen(heard)
        heard.wanted = False

    async with Supervisor("test") as tasks:
        _ = tasks.essential("feed", listen())
        await until(lambda: heard.has_begun, limit_s=LIMIT_S)
        await until(lambda: database.fetchval(kill), limit_s=LIMIT_S)
        await until(lambda: not heard.wanted, limit_s=LIMIT_S)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "no json",
        "[]",
        "{}",
        "null",
        '{"kind":"vm","id":"1","change":"update","facts":{}}',
        '{"kind":"vm","id":true,"change":"update","facts":{}}',
        '{"kind":1,"id":1,"change":"update","facts":{}}',
        '{"kind":"vm","id":1,"change":"update","facts":[]}',
        "[" * 100_000,
    ],
)
def test_strange_notifications_are_no_changes(payload: str) -> None:
    assert parse(payload) is None
