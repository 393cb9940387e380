"""A small farm for the tests of REST: one image, flavour, user and VM."""

from dataclasses import dataclass

from qvdnode.admin.parts import AdminParts
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import VmId
from tests.integration.admin.checked_api import CheckedApi

PASSWORD = "correct horse"


@dataclass(frozen=True)
class SampleFarm:
    """The ids of the objects in the farm."""

    tenant_id: int
    flavour_id: int
    user_id: int
    vm_id: int


async def make_sample_farm(api: CheckedApi) -> SampleFarm:
    """Create the objects through REST."""
    tenant = (await api.get("/tenants", name="default"))["items"][0]["id"]
    await api.import_image("icewm")
    flavour = await api.post(
        "/flavours", {"tenant_id": tenant, "name": "office", "image": "icewm", "memory_mib": 512}
    )
    user = await api.post("/users", {"tenant_id": tenant, "login": "alice", "password": PASSWORD})
    vm = await api.post(
        "/vms", {"user_id": user["id"], "flavour_id": flavour["id"], "name": "desk"}
    )
    return SampleFarm(tenant, flavour["id"], user["id"], vm["id"])


async def order_of(parts: AdminParts, farm: SampleFarm) -> DesktopOrder:
    """Return the order to start the VM."""
    return await parts.vms.order(VmId(farm.vm_id))
