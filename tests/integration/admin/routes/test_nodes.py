from qvdnode.admin.parts import AdminParts
from qvdnode.db.nodes import NodePorts
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, VmState
from tests.fakes.fleet import FakeFleet
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.parts_for_tests import NotReady
from tests.integration.admin.sample_farm import SampleFarm, order_of


async def test_an_idle_node_is_shown_with_its_limits(api: CheckedApi) -> None:
    node = (await api.get("/node")).body
    assert node["name"] == "node1"
    assert node["not_ready"] is None
    assert node["drivers"] == [
        {
            "name": "kvm",
            "version": None,
            "problem": "/dev/kvm is missing",
            "warning": None,
            "fix": "Load its module.",
        },
        {
            "name": "lxc",
            "version": "LXC 5.0.2",
            "problem": None,
            "warning": None,
            "fix": None,
        },
    ]
    assert node["load"] == {"guests": {}, "viewers": 0, "waiting": 0, "memory_promised_mib": 0}
    assert node["limits"]["memory_total_mib"] == 16_384
    assert node["limits"]["disk"] == [
        {"folder": "/state", "free_mib": 9_000, "capacity_mib": 8_000, "promised_mib": 1_000}
    ]


async def test_a_node_is_shown_with_what_it_carries(
    parts: AdminParts,
    api: CheckedApi,
    farm: SampleFarm,
    fleet: FakeFleet,
    not_ready: NotReady,
) -> None:
    order = await order_of(parts, farm)
    fleet.put(order, VmState.RUNNING, DisplayState.CONNECTED, viewer=True, queue_place=1)
    not_ready.reason = "The disk is full."
    node = (await api.get("/node")).body
    assert node["not_ready"] == "The disk is full."
    assert node["load"] == {
        "guests": {"running": 1},
        "viewers": 1,
        "waiting": 1,
        "memory_promised_mib": 512,
    }


async def test_all_nodes_of_the_farm_are_listed(api: CheckedApi, parts: AdminParts) -> None:
    await parts.nodes.join("node1", "boot-1", "10.0.0.1", ["lxc"])
    nodes = (await api.get("/nodes"))["items"]
    assert [(item["name"], item["address"], item["alive"], item["drivers"]) for item in nodes] == [
        ("node1", "10.0.0.1", True, ["lxc"])
    ]


async def test_a_node_that_is_gone_is_given_up_and_its_desktops_are_free(
    api: CheckedApi, parts: AdminParts, farm: SampleFarm, database: Database
) -> None:
    seat = await parts.nodes.join("gone", "boot-1", "10.0.0.2")
    await Ownership(database, seat).acquire(VmId(farm.vm_id))
    path = f"/nodes/{seat.node_id}/fence"
    refused = await api.call("POST", path, status=409)
    assert "gone is not gone" in refused["detail"]
    await parts.nodes.renew(seat.node_id, seat.epoch, -60)
    assert (await api.call("POST", path, status=200)).body == {"vms_stopped": 1}
    assert (await api.get(f"/vms/{farm.vm_id}"))["state"] == "stopped"
    states = {item["name"]: item["state"] for item in (await api.get("/nodes"))["items"]}
    assert states["gone"] == "fenced"
    audited = (await api.get("/audit"))["items"]
    assert "node.fence" in {entry["action"] for entry in audited}
    await api.call("POST", "/nodes/999/fence", status=404)


async def test_a_node_is_shown_as_this_one_sees_it(api: CheckedApi, parts: AdminParts) -> None:
    here = await parts.nodes.join("node1", "boot-1", "10.0.0.1", ports=NodePorts(peer=8445))
    other = await parts.nodes.join("node2", "boot-1", "10.0.0.2", ports=NodePorts(peer=8445))
    seen = (await api.get(f"/nodes/{here.node_id}")).body
    assert (seen["name"], seen["peer_port"], seen["here"]) == ("node1", 8445, True)
    assert seen["runs_database"]
    seen = (await api.get(f"/nodes/{other.node_id}")).body
    assert (seen["here"], seen["reached"]) == (False, None)
    await api.call("GET", "/nodes/999", status=404)


async def test_a_host_is_invited_with_what_to_type(api: CheckedApi) -> None:
    made = (await api.call("POST", "/nodes/invite", {"name": "desk2"}, status=201)).body
    assert made["command"] == f"qvdnode join {made['url']} --token {made['token']}"
    audited = (await api.get("/audit"))["items"]
    assert "node.invite" in {entry["action"] for entry in audited}
    assert made["token"] not in str(audited)
    for odd in ({"name": "two words"}, {"life_s": 59}, {"life_s": 604_801}):
        await api.call("POST", "/nodes/invite", odd, status=422)


async def test_a_node_that_is_stopped_is_removed(api: CheckedApi, parts: AdminParts) -> None:
    """Its name is free again; while it serves it stays."""
    seat = await parts.nodes.join("old", "boot-1", "10.0.0.2")
    refused = await api.call("DELETE", f"/nodes/{seat.node_id}", status=409)
    assert "stop it" in refused["detail"]
    await parts.nodes.leave(seat.node_id, seat.epoch, guests_stay=False)
    await api.call("DELETE", f"/nodes/{seat.node_id}", status=204)
    assert (await api.get("/nodes"))["items"] == []
    again = await parts.nodes.join("old", "boot-1", "10.0.0.2")
    assert again.node_id != seat.node_id


async def test_a_node_is_shown_with_its_load_and_what_is_wrong(
    api: CheckedApi, parts: AdminParts
) -> None:
    await parts.nodes.join("node1", "boot-1", "10.0.0.1")
    silent = await parts.nodes.join("node2", "boot-1", "10.0.0.2")
    one, two = (await api.get("/nodes"))["items"]
    assert one["load"]["guests"] == 0
    assert one["load"]["memory_capacity_mib"] == 15_360
    assert (two["load"], two["reason"]) == (None, "it has not told its load yet")
    await parts.nodes.renew(silent.node_id, silent.epoch, -60)
    assert "not renewed its lease" in (await api.get("/nodes"))["items"][1]["reason"]
    await parts.nodes.fence(silent.node_id)
    assert "given up" in (await api.get("/nodes"))["items"][1]["reason"]
