"""VMs with their users and flavours. ownership.py has the columns of the node that runs them."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from qvdnode.db import flavours, rollouts
from qvdnode.db.lists import ListSource, SortKey, name_key, read_list
from qvdnode.db.pool import Database
from qvdnode.db.rows import changed, found, row_count
from qvdnode.model.desktop import DesktopEntry
from qvdnode.model.errors import Conflict, FarmError, NotFound
from qvdnode.model.farm import DesktopOrder, User, Vm
from qvdnode.model.ids import (
    FlavourId,
    Generation,
    NodeId,
    TenantId,
    UserId,
    VmId,
)
from qvdnode.model.listing import Listing, Page
from qvdnode.model.rollout import Member
from qvdnode.model.transfer import Transfer
from qvdnode.model.vm_state import ON_THE_WIRE, VmState, WireState

KIND: Final = "VM"
WIRE: Final[dict[str, WireState]] = {state.value: wire for state, wire in ON_THE_WIRE.items()}
"""Maps the row's state directly, since the listing is the most frequent statement."""

# user and flavour are read in the same statement: they must be of one tenant
CREATE: Final = """
INSERT INTO vm (user_id, flavour_id, name)
SELECT u.id, f.id, $3 FROM app_user u JOIN flavour f ON f.tenant_id = u.tenant_id
WHERE u.id = $1 AND f.id = $2
RETURNING id
"""
# finds out why CREATE inserted no row
TENANTS: Final = """
SELECT (SELECT t.name FROM app_user u JOIN tenant t ON t.id = u.tenant_id WHERE u.id = $1)
           AS of_user,
       (SELECT t.name FROM flavour f JOIN tenant t ON t.id = f.tenant_id WHERE f.id = $2)
           AS of_flavour
"""
COLUMNS: Final = """
    v.id, u.tenant_id, v.user_id, u.login, v.flavour_id, f.name AS flavour, v.name, v.blocked,
    f.application IS NOT NULL AS is_application, v.state, v.gen, v.owner_node, v.error
"""
TABLES: Final = """
vm v JOIN app_user u ON u.id = v.user_id JOIN flavour f ON f.id = v.flavour_id
"""
FROM: Final = f"FROM {TABLES}"
GET: Final = f"SELECT {COLUMNS} {FROM} WHERE v.id = $1"
LIST: Final = ListSource(
    columns=COLUMNS,
    tables=TABLES,
    id="v.id",
    searched=("v.name", "u.login"),
    sorts={
        "name": name_key("v.name"),
        "user": name_key("u.login"),
        "flavour": name_key("f.name"),
        "state": name_key("v.state"),
        "state_since": SortKey("v.state_since", is_time=True),
        "created_at": SortKey("v.created_at", is_time=True),
    },
)
DESKTOPS_OF: Final = """
SELECT v.id, v.name, v.state, v.blocked, f.files
FROM vm v JOIN flavour f ON f.id = v.flavour_id
WHERE v.user_id = $1 AND (f.application IS NOT NULL) = $2
ORDER BY v.id
"""
OF_FLAVOUR: Final = "flavour_"
OF_ROLLOUT: Final = "rollout_"
ORDER: Final = f"""
SELECT {COLUMNS},
       t.name AS tenant, u.blocked AS user_blocked, u.created_at, u.home_node, i.head_version,
       {rollouts.TAGS} AS tags, h.name AS host, {rollouts.selected(OF_ROLLOUT)},
       {flavours.selected(OF_FLAVOUR)}
{FROM} JOIN tenant t ON t.id = u.tenant_id JOIN image i ON i.id = f.image_id
    LEFT JOIN node h ON h.id = u.home_node {rollouts.JOIN}
WHERE v.id = $1
"""
EXISTING: Final = "SELECT id FROM vm WHERE id = ANY($1::int[])"
SET_BLOCKED: Final = "UPDATE vm SET blocked = $2 WHERE id = $1"
DELETE: Final = """
DELETE FROM vm WHERE id = $1 AND owner_node IS NULL AND state IN ('stopped', 'failed')
"""


class Vms:
    """The table of VMs, without its ownership columns."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, user_id: UserId, flavour_id: FlavourId, name: str) -> Vm:
        """Make a stopped VM; raises NotFound for user or flavour, Conflict for name or tenant."""
        row = await self._db.fetchrow(CREATE, user_id, flavour_id, name)
        if row is None:
            why = await self._db.fetchrow(TENANTS, user_id, flavour_id, idempotent=True)
            raise _cannot_create(user_id, flavour_id, found(why, KIND, name))
        return await self.get(VmId(row["id"]))

    async def get(self, vm_id: VmId) -> Vm:
        """One VM; raises NotFound."""
        return _vm(found(await self._db.fetchrow(GET, vm_id, idempotent=True), KIND, vm_id))

    async def list(  # noqa: PLR0913 - one parameter is one filter
        self,
        page: Page,
        *,
        tenant_id: TenantId | None = None,
        user_id: UserId | None = None,
        state: VmState | None = None,
        name: str | None = None,
        flavour_id: FlavourId | None = None,
        node_id: NodeId | None = None,
    ) -> Listing[Vm]:
        """One page of VMs."""
        filters = {
            "u.tenant_id = {}": tenant_id,
            "v.user_id = {}": user_id,
            "v.state = {}": state,
            "v.name = {}": name,
            "v.flavour_id = {}": flavour_id,
            "v.owner_node = {}": node_id,
        }
        return await read_list(self._db, LIST, page, filters, _vm)

    async def desktops_of(self, user_id: UserId, *, applications: bool) -> Sequence[DesktopEntry]:
        """Return the user's desktops, or their single applications, as a client lists them."""
        rows = await self._db.fetch(DESKTOPS_OF, user_id, applications, idempotent=True)
        return [
            DesktopEntry(vm_id, name, WIRE[state], blocked, applications, Transfer(files))
            for vm_id, name, state, blocked, files in rows
        ]

    async def order(self, vm_id: VmId) -> DesktopOrder:
        """Return what a start needs; raises NotFound, Conflict if the image has no version."""
        row = found(await self._db.fetchrow(ORDER, vm_id, idempotent=True), KIND, vm_id)
        flavour = flavours.convert(row, OF_FLAVOUR)
        if row["head_version"] is None:
            raise Conflict(f"Image {flavour.image} has no version yet; import one first.")
        return DesktopOrder(_vm(row), _user(row), flavour, _version(row))

    async def existing(self, vm_ids: Sequence[VmId]) -> set[VmId]:
        """Return those of some VMs that exist."""
        rows = await self._db.fetch(EXISTING, list(vm_ids), idempotent=True)
        return {VmId(row["id"]) for row in rows}

    async def set_blocked(self, vm_id: VmId, *, blocked: bool) -> None:
        """Block or unblock the VM; raises NotFound."""
        tag = await self._db.execute(SET_BLOCKED, vm_id, blocked, idempotent=True)
        changed(tag, KIND, vm_id)

    async def delete(self, vm_id: VmId) -> None:
        """Delete a VM; raises Conflict unless it is stopped, NotFound."""
        if not row_count(await self._db.execute(DELETE, vm_id)):
            vm = await self.get(vm_id)
            raise Conflict(f"VM {vm_id} is {vm.state}; stop it first.")


def _cannot_create(user_id: UserId, flavour_id: FlavourId, row: asyncpg.Record) -> FarmError:
    if row["of_user"] is None:
        return NotFound(f"There is no user {user_id}.")
    if row["of_flavour"] is None:
        return NotFound(f"There is no flavour {flavour_id}.")
    return Conflict(
        f"The user is of tenant {row['of_user']} and the flavour of tenant {row['of_flavour']}; "
        "both must be of the same one."
    )


def _vm(row: asyncpg.Record) -> Vm:
    return Vm(
        id=VmId(row["id"]),
        tenant_id=TenantId(row["tenant_id"]),
        user_id=UserId(row["user_id"]),
        user_login=row["login"],
        flavour_id=FlavourId(row["flavour_id"]),
        flavour=row["flavour"],
        name=row["name"],
        blocked=row["blocked"],
        is_application=row["is_application"],
        state=VmState(row["state"]),
        generation=Generation(row["gen"]),
        owner_node=None if row["owner_node"] is None else NodeId(row["owner_node"]),
        error=row["error"],
    )


def _version(row: asyncpg.Record) -> int:
    """The version that the VM starts with: the head, but where a rollout says otherwise."""
    head, rollout = int(row["head_version"]), rollouts.convert(row, OF_ROLLOUT)
    if rollout is None:
        return head
    user = f"{row['login']}@{row['tenant']}"
    member = Member(VmId(row["id"]), user, frozenset(row["tags"]), row["host"] or "")
    return rollout.version_of(member, head)


def _user(row: asyncpg.Record) -> User:
    return User(
        id=UserId(row["user_id"]),
        tenant_id=TenantId(row["tenant_id"]),
        tenant=row["tenant"],
        login=row["login"],
        blocked=row["user_blocked"],
        created_at=row["created_at"],
        home_node=row["home_node"],
    )
