from collections.abc import Callable
from dataclasses import replace

from qvdnode.admin.parts import AdminParts
from qvdnode.db.pool import Database
from qvdnode.model.errors import Conflict, GuestFailed, NodeFull, TimedOut
from qvdnode.model.ids import Generation, VmId
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.vm.core.start_record import StartRecord
from tests.fakes.fleet import SINCE, FakeFleet
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm, order_of
from tests.waiting import until


def running(fleet: FakeFleet, farm: SampleFarm) -> bool:
    status = fleet.guest(VmId(farm.vm_id))
    return status is not None and status.state is VmState.RUNNING


async def test_a_start_that_is_not_waited_for_is_answered_at_once(
    api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    fleet.hold()
    begun = await api.call("POST", f"/vms/{farm.vm_id}/start", status=202)
    assert begun["state"] in {"stopped", "preparing"}
    fleet.let_go()
    await until(lambda: running(fleet, farm))


async def test_a_start_that_is_waited_for_is_answered_when_it_runs(
    api: CheckedApi, farm: SampleFarm
) -> None:
    path = f"/vms/{farm.vm_id}/start"
    started = await api.call("POST", path, query={"wait": "true"}, status=200)
    assert started["state"] == "running"


async def test_starting_what_runs_is_fine(api: CheckedApi, farm: SampleFarm) -> None:
    path = f"/vms/{farm.vm_id}/start"
    await api.call("POST", path, query={"wait": "true"}, status=200)
    assert (await api.call("POST", path, status=200))["state"] == "running"


async def test_why_a_start_failed_is_answered(
    api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    path = f"/vms/{farm.vm_id}/start"
    for error, status in (
        (NodeFull("The node is full."), 503),
        (GuestFailed("The desktop did not come up.", step="display"), 502),
        (TimedOut("It took too long."), 504),
        (Conflict("It is being stopped."), 409),
    ):
        fleet.refuse(error)
        refused = await api.call("POST", path, query={"wait": "true"}, status=status)
        assert (refused["code"], refused["detail"]) == (error.code, str(error))


async def test_a_start_that_placement_refuses_is_never_begun(
    parts: AdminParts, api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    order = await order_of(parts, farm)
    giant = replace(
        order,
        vm=replace(order.vm, id=VmId(999)),
        flavour=replace(order.flavour, memory_mib=15_000),
    )
    fleet.put(giant, VmState.RUNNING)
    refused = await api.call("POST", f"/vms/{farm.vm_id}/start", status=503)
    assert refused["code"] == NodeFull.code
    assert "360 MiB of memory are left, 512 are needed" in refused["detail"]
    assert fleet.guest(VmId(farm.vm_id)) is None


async def test_a_start_nobody_waits_for_fails_into_the_log(
    api: CheckedApi, farm: SampleFarm, fleet: FakeFleet, log_text: Callable[[], str]
) -> None:
    fleet.refuse(NodeFull("There is no room."))
    await api.call("POST", f"/vms/{farm.vm_id}/start", status=202)
    await until(lambda: "There is no room." in log_text())
    assert "Traceback" not in log_text()


async def test_a_vm_is_stopped_and_stopping_again_is_fine(
    parts: AdminParts, api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    fleet.put(await order_of(parts, farm), VmState.RUNNING, DisplayState.LISTENING)
    path = f"/vms/{farm.vm_id}/stop"
    stopped = await api.call("POST", path, query={"wait": "true"}, status=200)
    assert stopped["state"] == "stopped"
    assert (await api.call("POST", path, status=200))["state"] == "stopped"


async def test_a_client_is_disconnected_if_there_is_one(
    parts: AdminParts, api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    path = f"/vms/{farm.vm_id}/disconnect"
    assert (await api.call("POST", path, status=200)).body == {"disconnected": False}
    fleet.put(await order_of(parts, farm), VmState.RUNNING, DisplayState.CONNECTED, viewer=True)
    assert (await api.call("POST", path, status=200)).body == {"disconnected": True}


async def test_the_log_is_shown(
    parts: AdminParts, api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    path = f"/vms/{farm.vm_id}/log"
    assert "does not run" in (await api.get(path, 404))["detail"]
    fleet.put(await order_of(parts, farm), VmState.RUNNING, DisplayState.LISTENING)
    assert "Session: Starting" in (await api.get(path))["text"]


async def test_why_the_last_guest_ended_is_shown(
    api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    path = f"/vms/{farm.vm_id}"
    before = await api.get(path)
    assert (before["last_end"], before["last_end_at"], before["last_lines"]) == (None, None, [])
    fleet.past.append(
        StartRecord(
            VmId(farm.vm_id), Generation(1), SINCE, "It crashed.", failed=True, log="a\nb\n"
        )
    )
    after = await api.get(path)
    assert (after["last_end"], after["last_lines"]) == ("It crashed.", ["a", "b"])
    assert after["last_end_at"] is not None


async def test_nothing_can_be_done_with_a_vm_that_is_not_there(api: CheckedApi) -> None:
    for verb in ("start", "stop", "disconnect"):
        await api.call("POST", f"/vms/999/{verb}", status=404)
    await api.get("/vms/999/log", 404)


async def test_an_action_takes_no_body_and_no_odd_parameters(
    api: CheckedApi, farm: SampleFarm
) -> None:
    path = f"/vms/{farm.vm_id}/start"
    assert (await api.call("POST", path, {"wait": True}, status=422))["field"] == "body"
    odd = await api.call("POST", path, query={"force": "1"}, status=422)
    assert odd["field"] == "query.force"


async def test_what_runs_here_needs_no_database(
    api: CheckedApi,
    farm: SampleFarm,
    fleet: FakeFleet,
    parts: AdminParts,
    database: Database,
) -> None:
    path = f"/vms/{farm.vm_id}"
    order = await order_of(parts, farm)
    fleet.put(order, VmState.RUNNING, DisplayState.CONNECTED, viewer=True)
    await api.get(path)
    await database.close()
    assert (await api.call("POST", f"{path}/disconnect", status=200))["disconnected"]
    assert (await api.get(f"{path}/log"))["text"] == fleet.log
    shown = (await api.get("/vms", name="desk"))["items"]
    assert [(vm["id"], vm["user"], vm["tenant"]) for vm in shown] == [
        (farm.vm_id, "alice", "default")
    ]
    assert (await api.get(path))["node"] == "node1"
    stopped = await api.call("POST", f"{path}/stop", query={"wait": "true"}, status=200)
    assert (stopped["state"], stopped["tenant"], stopped["node"]) == ("stopped", "default", None)
    await api.call("POST", "/vms/999/stop", status=503)
    await api.get("/vms/999/log", status=503)


async def test_without_a_database_no_list_is_passed_off_as_whole(
    api: CheckedApi,
    farm: SampleFarm,
    fleet: FakeFleet,
    parts: AdminParts,
    database: Database,
) -> None:
    fleet.put(await order_of(parts, farm), VmState.RUNNING)
    await api.get("/vms")
    await database.close()
    await api.get("/vms", status=503)
    await api.get("/vms", name="another", status=503)
    await api.get("/vms", name="desk", state="stopped", status=503)
