"""Flavours: what kinds of desktops a tenant has."""

from dataclasses import astuple, fields
from typing import Final

import asyncpg

from qvdnode.db.lists import ListSource, name_key, read_list
from qvdnode.db.pool import Database
from qvdnode.db.rows import changed, found
from qvdnode.model.errors import NotFound
from qvdnode.model.farm import Flavour, FlavourDraft, KeptOverlay, Takeover
from qvdnode.model.ids import FlavourId, TenantId
from qvdnode.model.listing import Listing, Page
from qvdnode.model.transfer import Transfer

KIND: Final = "flavour"
ENUMS: Final = {
    "takeover": Takeover, "overlay": KeptOverlay, "clipboard": Transfer, "files": Transfer,
}  # fmt: skip
COLUMNS: Final = tuple(item.name for item in fields(FlavourDraft))


def selected(prefix: str = "") -> str:
    """What to select of a flavour `f` and its image `i`; the prefix keeps it from other columns."""
    columns = [("f.id", "id"), ("i.name", "image"), *((f"f.{name}", name) for name in COLUMNS)]
    return ", ".join(f"{column} AS {prefix}{name}" for column, name in columns)


NAMES: Final = ", ".join(COLUMNS)
PARAMETERS: Final = {name: f"${number}" for number, name in enumerate(COLUMNS, 1)}
VALUES: Final = ", ".join({**PARAMETERS, "tenant_id": "t.id", "image_id": "i.id"}.values())
# parents are read in the same statement: an unknown one gives no row, and no foreign key error
CREATE: Final = f"""
INSERT INTO flavour ({NAMES})
SELECT {VALUES} FROM tenant t, image i
WHERE t.id = {PARAMETERS["tenant_id"]} AND i.id = {PARAMETERS["image_id"]}
RETURNING id
"""
UPDATE: Final = f"""
UPDATE flavour f SET ({NAMES}) = ({", ".join(PARAMETERS.values())}) FROM image i
WHERE f.id = ${len(COLUMNS) + 1} AND f.tenant_id = {PARAMETERS["tenant_id"]}
  AND i.id = {PARAMETERS["image_id"]}
"""
SELECT: Final = f"SELECT {selected()} FROM flavour f JOIN image i ON i.id = f.image_id "
GET: Final = SELECT + "WHERE f.id = $1"
LIST: Final = ListSource(
    columns=selected(),
    tables="flavour f JOIN image i ON i.id = f.image_id",
    id="f.id",
    searched=("f.name",),
    sorts={"name": name_key("f.name"), "image": name_key("i.name")},
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
        filters = {"f.tenant_id = {}": tenant_id, "f.name = {}": name}
        return await read_list(self._db, LIST, page, filters, convert)

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


def convert(row: asyncpg.Record, prefix: str = "") -> Flavour:
    """The flavour in a row that has what is `selected` under this prefix."""
    values = {item.name: row[prefix + item.name] for item in fields(Flavour)}
    return Flavour(**{**values, **{name: kind(values[name]) for name, kind in ENUMS.items()}})
