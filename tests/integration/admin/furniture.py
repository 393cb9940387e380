"""What tests of REST find in the farm: an image, a flavour, a user and a VM."""

from dataclasses import dataclass

from qvdnode.admin.parts import AdminParts
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import VmId
from tests.integration.admin.checked_api import CheckedApi

PASSWORD = "correct horse"


@dataclass(frozen=True)
class Furniture:
    """Numbers of things that are there."""

    tenant_id: int
    flavour_id: int
    user_id: int
    vm_id: int


async def furnish(api: CheckedApi) -> Furniture:
    """Make the things, through REST itself."""
    tenant = (await api.get("/tenants", name="default"))["items"][0]["id"]
    await api.import_image("icewm")
    flavour = await api.post(
        "/flavours", {"tenant_id": tenant, "name": "office", "image": "icewm", "memory_mib": 512}
    )
    user = await api.post("/users", {"tenant_id": tenant, "login": "alice", "password": PASSWORD})
    vm = await api.post(
        "/vms", {"user_id": user["id"], "flavour_id": flavour["id"], "name": "desk"}
    )
    return Furniture(tenant, flavour["id"], user["id"], vm["id"])


async def order_of(parts: AdminParts, furniture: Furniture) -> DesktopOrder:
    """All that a start of the VM needs."""
    return await parts.vms.order(VmId(furniture.vm_id))
