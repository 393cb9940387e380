import random
from typing import Any

from qvdnode.admin.audit_trail import AuditTrail
from qvdnode.db.audit import Audit, AuditEntry
from qvdnode.db.pool import Database
from qvdnode.db.settings import DatabaseSettings
from qvdnode.model.errors import Unavailable
from qvdnode.model.listing import Page
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm
from tests.waiting import until


async def entries(api: CheckedApi, **query: Any) -> list[tuple[str, str]]:
    items = (await api.get("/audit", **query))["items"]
    return [(item["action"], item["object_id"]) for item in items]


async def test_every_change_is_recorded_and_nothing_else(api: CheckedApi, farm: SampleFarm) -> None:
    vm = str(farm.vm_id)
    made = [
        ("image.import", "1"),
        ("flavour.create", str(farm.flavour_id)),
        ("user.create", str(farm.user_id)),
        ("vm.create", vm),
    ]
    assert await entries(api) == made
    await api.get("/vms")
    await api.call("DELETE", f"/users/{farm.user_id}", status=409)
    assert await entries(api) == made
    path = f"/vms/{vm}"
    await api.call("PATCH", path, {"blocked": True}, status=200)
    await api.call("POST", f"{path}/start", query={"wait": "true"}, status=200)
    await api.call("POST", f"{path}/start", status=200)
    await api.call("POST", f"{path}/disconnect", status=200)
    await api.call("POST", f"{path}/stop", query={"wait": "true"}, status=200)
    await api.call("DELETE", path, status=204)
    assert await entries(api, object_kind="vm", object_id=vm) == [
        ("vm.create", vm),
        ("vm.change", vm),
        ("vm.start", vm),
        ("vm.stop", vm),
        ("vm.delete", vm),
    ]


async def test_what_is_deleted_is_still_called_by_its_name(
    api: CheckedApi, farm: SampleFarm
) -> None:
    await api.call("DELETE", f"/vms/{farm.vm_id}", status=204)
    await api.call("DELETE", f"/flavours/{farm.flavour_id}", status=204)
    await api.call("DELETE", f"/users/{farm.user_id}", status=204)
    items = (await api.get("/audit", newest="true", limit=3))["items"]
    assert [(item["action"], item["detail"]) for item in items] == [
        ("user.delete", {"login": "alice", "tenant": "default"}),
        ("flavour.delete", {"name": "office"}),
        ("vm.delete", {"name": "desk", "user": "alice"}),
    ]


async def test_the_newest_changes_come_first_when_asked(api: CheckedApi, farm: SampleFarm) -> None:
    page = await api.get("/audit", newest="true", limit=3)
    assert page["items"][0]["action"] == "vm.create"
    rest = await api.get("/audit", newest="true", limit=3, after=page["next_after"])
    assert [item["action"] for item in rest["items"]] == ["image.import"]
    assert rest["next_after"] is None


async def test_an_entry_has_the_actor_the_change_and_the_correlation_id(api: CheckedApi) -> None:
    headers = {"X-Correlation-ID": "ticket-4711"}
    await api.call("POST", "/tenants", {"name": "acme"}, headers=headers, status=201)
    entry = (await api.get("/audit", actor="tests"))["items"][0]
    assert (entry["actor"], entry["action"]) == ("tests", "tenant.create")
    assert entry["correlation"] == "ticket-4711"
    assert entry["detail"] == {"name": "acme"}
    assert await entries(api, actor="nobody") == []
    assert await entries(api, actor="a name with blanks") == []


class AwayAtFirst(Audit):
    """The table of changes, out of reach until `back`."""

    back = False

    async def write(self, entry: AuditEntry) -> None:
        if not self.back:
            raise Unavailable("The database is away.")
        await super().write(entry)


async def test_changes_made_without_a_database_are_written_once_it_is_back(
    postgres_dsn: str,
) -> None:
    clock = SystemClock()
    database = await Database.open(postgres_dsn, DatabaseSettings(), clock, random.Random(1))
    table = AwayAtFirst(database)
    trail = AuditTrail(table, clock)
    made = [AuditEntry("tests", "vm.stop", "vm", str(number), {}, "c") for number in (1, 2)]
    before = clock.now()
    async with Supervisor("test") as tasks:
        _ = tasks.essential("audit", trail.run())
        await trail.write(made)
        after, table.back = clock.now(), True

        async def both() -> bool:
            return len((await table.list(Page())).items) == 2

        await until(both, limit_s=30)
    kept = (await table.list(Page())).items
    assert [(record.action, record.object_id) for record in kept] == [
        ("vm.stop", "1"),
        ("vm.stop", "2"),
    ]
    assert all(before <= record.at <= after for record in kept)
    await database.close()
