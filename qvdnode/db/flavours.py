"""Flavours: what kinds of desktops a tenant has."""

from dataclasses import astuple, dataclass, fields
from typing import Final

import asyncpg

from qvdnode.db.paging import limit_of, listing
from qvdnode.db.pool import Database
from qvdnode.db.rows import changed, found
from qvdnode.model.errors import NotFound
from qvdnode.model.farm import Flavour
from qvdnode.model.ids import FlavourId, ImageId, TenantId
from qvdnode.model.listing import Listing, Page

KIND: Final = "flavour"


@dataclass(frozen=True, slots=True)
class FlavourDraft:
    """A flavour to be, or what an existing one is to become. See model.farm.Flavour."""

    tenant_id: TenantId
    name: str
    image_id: ImageId
    driver: str = "lxc"
    memory_mib: int = 1024
    cpu_pct: int = 100
    pids_max: int = 1024
    disk_mib: int = 4096
    home_mib: int = 4096
    application: str | None = None
    shell: str = "/bin/bash"
    locale: str = "C.UTF-8"
    timezone: str = "Etc/UTC"
    egress: bool = True


COLUMNS: Final = tuple(item.name for item in fields(FlavourDraft))
NAMES: Final = ", ".join(COLUMNS)
VALUES: Final = ", ".join(
    {"tenant_id": "t.id", "image_id": "i.id"}.get(name, f"${number}")
    for number, name in enumerate(COLUMNS, 1)
)
# parents are read in the same statement: an unknown one gives no row, and no foreign key error
CREATE: Final = f"""
INSERT INTO flavour ({NAMES})
SELECT {VALUES} FROM tenant t, image i WHERE t.id = $1 AND i.id = $3
RETURNING id
"""
PARAMETERS: Final = ", ".join(f"${number}" for number in range(1, len(COLUMNS) + 1))
UPDATE: Final = f"""
UPDATE flavour f SET ({NAMES}) = ({PARAMETERS}) FROM image i
WHERE f.id = ${len(COLUMNS) + 1} AND f.tenant_id = $1 AND i.id = $3
"""
SELECT: Final = """
SELECT f.id, f.tenant_id, f.name, f.image_id, i.name AS image, f.driver, f.memory_mib, f.cpu_pct,
       f.pids_max, f.disk_mib, f.home_mib, f.application, f.shell, f.locale, f.timezone, f.egress
FROM flavour f JOIN image i ON i.id = f.image_id
"""
GET: Final = SELECT + "WHERE f.id = $1"
LIST: Final = (
    SELECT
    + """
WHERE f.id > $1::bigint
  AND ($3::integer IS NULL OR f.tenant_id = $3)
  AND ($4::text IS NULL OR f.name = $4)
ORDER BY f.id LIMIT $2
"""
)
DELETE: Final = "DELETE FROM flavour WHERE id = $1"


class Flavours:
    """The table of flavours."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, draft: FlavourDraft) -> Flavour:
        """Make a flavour; raises NotFound for tenant or image, Conflict when the name is taken."""
        row = await self._db.fetchrow(CREATE, *astuple(draft))
        if row is None:
            raise NotFound(f"There is no tenant {draft.tenant_id}, or no image {draft.image_id}.")
        return await self.get(FlavourId(row["id"]))

    async def get(self, flavour_id: FlavourId) -> Flavour:
        """One flavour; raises NotFound."""
        row = await self._db.fetchrow(GET, flavour_id, idempotent=True)
        return convert(found(row, KIND, flavour_id))

    async def list(
        self, page: Page, *, tenant_id: TenantId | None = None, name: str | None = None
    ) -> Listing[Flavour]:
        """One page of flavours."""
        rows = await self._db.fetch(
            LIST, page.after, limit_of(page), tenant_id, name, idempotent=True
        )
        return listing(rows, page, convert)

    async def update(self, flavour_id: FlavourId, draft: FlavourDraft) -> Flavour:
        """Change all of a flavour but its tenant; running VMs take it at their next start.

        Raises NotFound for the flavour, in this tenant, or the image; Conflict for the name.
        """
        tag = await self._db.execute(UPDATE, *astuple(draft), flavour_id, idempotent=True)
        changed(tag, KIND, f"{flavour_id}, or no image {draft.image_id}")
        return await self.get(flavour_id)

    async def delete(self, flavour_id: FlavourId) -> None:
        """Delete a flavour; raises Conflict while VMs are of it, NotFound."""
        changed(await self._db.execute(DELETE, flavour_id), KIND, flavour_id)


def convert(row: asyncpg.Record) -> Flavour:
    """The flavour in a row that has all of its columns."""
    return Flavour(**{item.name: row[item.name] for item in fields(Flavour)})
