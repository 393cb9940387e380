"""A small farm to test on: a user with a VM."""

from dataclasses import dataclass

from qvdnode.db.flavours import Flavours
from qvdnode.db.images import Images
from qvdnode.db.pool import Database
from qvdnode.db.tenants import Tenants
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.model.farm import Flavour, Image, Tenant, User, Vm
from tests.fakes.orders import flavour_draft


@dataclass(frozen=True, slots=True)
class Sample:
    """The default tenant, alice, her VM `desk`, its flavour and image."""

    tenant: Tenant
    user: User
    image: Image
    flavour: Flavour
    vm: Vm


async def make_sample(db: Database) -> Sample:
    """Fill an empty database."""
    tenant = await Tenants(db).by_name("default")
    user = await Users(db).create(tenant.id, "alice", "hash-of-alice")
    image = await Images(db).create("icewm")
    flavour = await Flavours(db).create(flavour_draft(tenant.id, "small", image.id))
    vm = await Vms(db).create(user.id, flavour.id, "desk")
    return Sample(tenant, user, image, flavour, vm)
