from typing import Any

import pytest

from qvdnode.admin.parts import AdminParts
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, VmState
from tests.fakes.fleet import FakeFleet
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm, order_of


async def test_a_vm_that_does_not_run_is_shown_as_the_database_has_it(
    api: CheckedApi, farm: SampleFarm
) -> None:
    vm = (await api.get(f"/vms/{farm.vm_id}")).body
    assert (vm["state"], vm["display"], vm["viewer"]) == ("stopped", "off", False)
    assert (vm["user"], vm["flavour"], vm["name"]) == ("alice", "office", "desk")
    assert vm["memory_used_mib"] is None


async def test_a_vm_that_runs_here_is_shown_as_it_is_now(
    parts: AdminParts, api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    fleet.put(await order_of(parts, farm), VmState.RUNNING, DisplayState.CONNECTED, viewer=True)
    vm = (await api.get(f"/vms/{farm.vm_id}")).body
    assert (vm["state"], vm["display"], vm["viewer"]) == ("running", "connected", True)
    assert (vm["address"], vm["steps"]) == ("10.1.2.3", {"launch": 0.04})
    assert (vm["memory_used_mib"], vm["memory_limit_mib"]) == (100, 512)
    assert vm["driver_warning"] is None
    assert (await api.get("/vms"))["items"][0]["state"] == "running"


async def test_the_place_in_the_queue_of_starts_is_shown(
    parts: AdminParts, api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    fleet.put(await order_of(parts, farm), VmState.PREPARING, DisplayState.OFF, queue_place=3)
    assert (await api.get(f"/vms/{farm.vm_id}"))["queue_place"] == 3


async def test_vms_are_found_by_tenant_user_name_and_state(
    api: CheckedApi, farm: SampleFarm
) -> None:
    for query in (
        {"tenant_id": farm.tenant_id},
        {"user_id": farm.user_id},
        {"flavour_id": farm.flavour_id},
        {"name": "desk"},
        {"state": "stopped"},
    ):
        found = await api.get("/vms", **query)
        assert [item["id"] for item in found["items"]] == [farm.vm_id], query
    others = ({"tenant_id": 999}, {"user_id": 999}, {"flavour_id": 999})
    for query in (*others, {"name": "lab"}, {"state": "running"}):
        assert (await api.get("/vms", **query))["items"] == [], query
    assert (await api.get("/vms", 422, state="asleep"))["field"] == "query.state"


async def test_names_stand_beside_numbers(
    parts: AdminParts, api: CheckedApi, farm: SampleFarm, database: Database
) -> None:
    seat = await parts.nodes.join("node1", "boot", "10.0.0.1")
    await Ownership(database, seat).acquire(VmId(farm.vm_id))
    (vm,) = (await api.get("/vms"))["items"]
    assert (vm["tenant"], vm["node"], vm["node_id"]) == ("default", "node1", seat.node_id)


async def test_a_longer_list_takes_no_more_statements(
    api: CheckedApi, farm: SampleFarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[str] = []
    fetch = Database.fetch

    async def counted(self: Database, statement: str, *values: Any, **options: Any) -> Any:
        run.append(statement)
        return await fetch(self, statement, *values, **options)

    monkeypatch.setattr(Database, "fetch", counted)

    async def taken(path: str) -> int:
        run.clear()
        await api.get(path)
        return len(run)

    before = [await taken("/vms"), await taken("/flavours"), await taken("/sessions")]
    acme = await api.post("/tenants", {"name": "acme"})
    for number in range(3):
        flavour = {"tenant_id": acme["id"], "name": f"f{number}", "image": "icewm"}
        await api.post("/flavours", flavour)
        vm = {
            "user_id": farm.user_id,
            "flavour_id": farm.flavour_id,
            "name": f"{number}",
        }
        await api.post("/vms", vm)
    assert [await taken("/vms"), await taken("/flavours"), await taken("/sessions")] == before
    names = [item["tenant"] for item in (await api.get("/flavours"))["items"]]
    assert names == ["default", "acme", "acme", "acme"]


async def test_a_vm_is_blocked_and_unblocked(api: CheckedApi, farm: SampleFarm) -> None:
    path = f"/vms/{farm.vm_id}"
    assert (await api.call("PATCH", path, {"blocked": True}, status=200))["blocked"]
    assert not (await api.call("PATCH", path, {"blocked": False}, status=200))["blocked"]


async def test_a_vm_is_deleted_once(api: CheckedApi, farm: SampleFarm) -> None:
    path = f"/vms/{farm.vm_id}"
    await api.call("DELETE", path, status=204)
    await api.call("DELETE", path, status=404)


async def test_a_user_and_a_flavour_of_different_tenants_make_no_vm(
    api: CheckedApi, farm: SampleFarm
) -> None:
    acme = await api.post("/tenants", {"name": "acme"})
    bob = await api.post("/users", {"tenant_id": acme["id"], "login": "bob", "password": "hello"})
    body = {"user_id": bob["id"], "flavour_id": farm.flavour_id, "name": "desk"}
    refused = await api.post("/vms", body, 409)
    assert "user is of tenant acme and the flavour of tenant default" in refused["detail"]
    gone = await api.post("/vms", {**body, "user_id": 999}, 404)
    assert gone["detail"] == "There is no user 999."
    gone = await api.post("/vms", {**body, "flavour_id": 999}, 404)
    assert gone["detail"] == "There is no flavour 999."


async def test_a_name_is_taken_once_per_user(api: CheckedApi, farm: SampleFarm) -> None:
    body = {"user_id": farm.user_id, "flavour_id": farm.flavour_id, "name": "desk"}
    await api.post("/vms", body, 409)
    await api.post("/vms", {**body, "name": "lab"})


async def test_numbers_beyond_an_id_are_not_found(api: CheckedApi) -> None:
    for number in ("0", str(2**31), "9999999999"):
        await api.get(f"/vms/{number}", 404)
    for odd in ("x", "-1", "1.5", "99999999999", "%00"):
        await api.get(f"/vms/{odd}", 404)
