"""The audit trail in PostgreSQL."""

import pytest

from qvdnode.db.audit import Audit, AuditEntry
from qvdnode.db.pool import Database
from qvdnode.model.listing import Page

pytestmark = pytest.mark.postgres


def entry(actor: str = "robot", kind: str = "vm", object_id: str | None = "7") -> AuditEntry:
    return AuditEntry(actor, "vm.stop", kind, object_id, {"name": "dé\u20acsk", "n": 1}, "c0ffee")


async def test_an_entry_comes_back_whole(database: Database) -> None:
    await Audit(database).write(entry())
    (found,) = (await Audit(database).list(Page())).items
    assert (found.actor, found.action, found.object_id) == ("robot", "vm.stop", "7")
    assert found.detail == {"name": "dé\u20acsk", "n": 1}
    assert found.correlation == "c0ffee"


async def test_lists_are_filtered(database: Database) -> None:
    audit = Audit(database)
    for item in (entry(), entry(actor="root"), entry(kind="user"), entry(object_id=None)):
        await audit.write(item)
    assert len((await audit.list(Page(), actor="root")).items) == 1
    assert len((await audit.list(Page(), object_kind="vm")).items) == 3
    assert len((await audit.list(Page(), object_kind="vm", object_id="7")).items) == 2
