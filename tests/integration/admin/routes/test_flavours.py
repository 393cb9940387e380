from typing import Any

import pytest

from qvdnode.admin.parts import AdminParts
from qvdnode.model.errors import HostFailed
from qvdnode.model.image_lack import Lacking
from tests.fakes.importer import FakeImporter
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm


async def test_a_flavour_has_sane_limits_unless_told(api: CheckedApi, farm: SampleFarm) -> None:
    body = {"tenant_id": farm.tenant_id, "name": "Plain desk", "image": "icewm"}
    flavour = (await api.post("/flavours", body)).body
    assert flavour["memory_mib"] == 1024
    assert flavour["driver"] == "lxc"
    assert flavour["application"] is None
    assert (await api.get(f"/flavours/{flavour['id']}")).body == flavour


async def test_a_change_keeps_what_it_does_not_name(api: CheckedApi, farm: SampleFarm) -> None:
    path = f"/flavours/{farm.flavour_id}"
    before = (await api.get(path)).body
    change = {"memory_mib": 2048, "application": "xterm -e top"}
    after = (await api.call("PATCH", path, change, status=200)).body
    assert after == {**before, **change}
    desktop = await api.call("PATCH", path, {"application": None}, status=200)
    assert desktop.body == {**before, "memory_mib": 2048}


async def test_a_null_does_not_take_a_value_away(api: CheckedApi, farm: SampleFarm) -> None:
    path = f"/flavours/{farm.flavour_id}"
    refused = await api.call("PATCH", path, {"memory_mib": None}, status=422)
    assert refused["field"] == "memory_mib"


async def test_a_flavour_moves_to_another_image(api: CheckedApi, farm: SampleFarm) -> None:
    await api.import_image("xfce")
    path = f"/flavours/{farm.flavour_id}"
    moved = await api.call("PATCH", path, {"image": "xfce"}, status=200)
    assert moved["image"] == "xfce"
    await api.call("PATCH", path, {"image": "gone"}, status=404)


async def test_a_flavour_moves_to_a_driver_that_a_node_offers(
    api: CheckedApi, farm: SampleFarm, parts: AdminParts
) -> None:
    path = f"/flavours/{farm.flavour_id}"
    refused = await api.call("PATCH", path, {"driver": "docker"}, status=404)
    assert refused["detail"].startswith("No node has a driver docker; there is kvm, lxc.")
    await parts.nodes.join("other", "boot", "::1", ["docker"])
    assert (await api.call("PATCH", path, {"driver": "docker"}, status=200))["driver"] == "docker"


async def test_flavours_are_found_by_tenant_and_name(api: CheckedApi, farm: SampleFarm) -> None:
    found = await api.get("/flavours", tenant_id=farm.tenant_id, name="office")
    assert [item["id"] for item in found["items"]] == [farm.flavour_id]
    assert (await api.get("/flavours", tenant_id=999))["items"] == []


async def test_a_flavour_in_use_stays(api: CheckedApi, farm: SampleFarm) -> None:
    path = f"/flavours/{farm.flavour_id}"
    await api.call("DELETE", path, status=409)
    await api.call("DELETE", f"/vms/{farm.vm_id}", status=204)
    await api.call("DELETE", path, status=204)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory_mib", 1),
        ("memory_mib", "512"),
        ("cpu_pct", 0),
        ("pids_max", 10**12),
        ("disk_mib", -1),
        ("driver", "LXC"),
        ("driver", "../lxc"),
        ("application", "xterm\nrm -rf /"),
        ("shell", "bash"),
        ("shell", "/bin/../../x y"),
        ("locale", "de_DE.UTF-8; reboot"),
        ("timezone", "../../etc/passwd"),
        ("name", "a\tb"),
    ],
)
async def test_odd_values_are_refused_by_field(
    api: CheckedApi, farm: SampleFarm, field: str, value: Any
) -> None:
    body = {"tenant_id": farm.tenant_id, "name": "odd", "image": "icewm", field: value}
    assert (await api.post("/flavours", body, 422))["field"] == field


async def test_what_the_image_lacks_is_said_when_a_flavour_names_it(
    api: CheckedApi, farm: SampleFarm, importer: FakeImporter
) -> None:
    body = {"tenant_id": farm.tenant_id, "name": "Madrid", "image": "icewm"}
    assert (await api.post("/flavours", body)).body["warnings"] == []
    importer.contents.lacks = Lacking(timezone=True)
    path = f"/flavours/{farm.flavour_id}"
    change = {"timezone": "Europe/Madrid"}
    (told,) = (await api.call("PATCH", path, change, status=200))["warnings"]
    assert "no time zone Europe/Madrid" in told
    assert (await api.get(path))["warnings"] == [told]
    importer.contents.refusal = HostFailed("too many open files")
    assert (await api.get(path))["warnings"] == []
