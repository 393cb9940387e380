"""Flavours in PostgreSQL."""

from dataclasses import asdict, replace

import pytest

from qvdnode.db.flavours import Flavours
from qvdnode.db.images import Images
from qvdnode.db.pool import Database
from qvdnode.model.errors import Conflict, Invalid, NotFound
from qvdnode.model.farm import FlavourDraft, KeptOverlay, Takeover
from qvdnode.model.ids import ImageId, TenantId
from qvdnode.model.listing import Page
from qvdnode.model.transfer import Transfer
from tests.integration.db.sample import Sample, make_sample

pytestmark = pytest.mark.postgres


def draft(sample: Sample) -> FlavourDraft:
    return FlavourDraft(
        tenant_id=sample.tenant.id, name="big", image_id=sample.image.id, driver="lxc",
        memory_mib=2048, cpu_pct=200, pids_max=99, disk_mib=11, home_mib=12,
        application="xterm -e top", shell="/bin/sh", locale="de_DE.UTF-8",
        timezone="Europe/Berlin", egress=False, hibernate_after_s=77, idle_minutes=15, nesting=True,
        takeover=Takeover.AT_ONCE, overlay=KeptOverlay.KEEP,
        clipboard=Transfer.IN, files=Transfer.NONE,
    )  # fmt: skip


async def test_every_field_comes_back(database: Database) -> None:
    sample = await make_sample(database)
    made = await Flavours(database).create(draft(sample))
    assert asdict(made) == {**asdict(draft(sample)), "id": made.id, "image": "icewm"}
    # Not only equal texts: what is asked is whether it is that choice.
    assert (made.takeover, made.overlay) == (Takeover.AT_ONCE, KeptOverlay.KEEP)
    assert isinstance(made.takeover, Takeover)
    assert isinstance(made.overlay, KeptOverlay)


async def test_a_name_is_taken_once_per_tenant(database: Database) -> None:
    sample = await make_sample(database)
    await Flavours(database).create(draft(sample))
    with pytest.raises(Conflict, match="flavour of that name"):
        await Flavours(database).create(draft(sample))


async def test_every_field_but_the_tenant_can_change(database: Database) -> None:
    sample = await make_sample(database)
    other = await Images(database).create("xfce")
    wanted = replace(draft(sample), image_id=other.id)
    changed = await Flavours(database).update(sample.flavour.id, wanted)
    assert asdict(changed) == {**asdict(wanted), "id": sample.flavour.id, "image": "xfce"}
    assert await Flavours(database).get(sample.flavour.id) == changed


async def test_unknown_parents_are_not_found(database: Database) -> None:
    sample = await make_sample(database)
    flavours = Flavours(database)
    for wanted in (
        replace(draft(sample), tenant_id=TenantId(999)),
        replace(draft(sample), image_id=ImageId(999)),
    ):
        with pytest.raises(NotFound):
            await flavours.create(wanted)
        with pytest.raises(NotFound):
            await flavours.update(sample.flavour.id, wanted)
    assert await flavours.get(sample.flavour.id) == sample.flavour


async def test_absurd_sizes_are_refused(database: Database) -> None:
    sample = await make_sample(database)
    for wanted in (replace(draft(sample), memory_mib=-1), replace(draft(sample), disk_mib=0)):
        with pytest.raises(Invalid):
            await Flavours(database).create(wanted)


async def test_lists_are_filtered(database: Database) -> None:
    sample = await make_sample(database)
    big = await Flavours(database).create(draft(sample))
    assert (await Flavours(database).list(Page(), name="big")).items == (big,)
    assert (await Flavours(database).list(Page(), tenant_id=TenantId(9))).items == ()
    assert (await Flavours(database).list(Page())).items == (sample.flavour, big)


async def test_a_flavour_with_vms_stays_and_one_without_goes(database: Database) -> None:
    sample = await make_sample(database)
    big = await Flavours(database).create(draft(sample))
    with pytest.raises(Conflict, match="VM is still of that flavour"):
        await Flavours(database).delete(sample.flavour.id)
    await Flavours(database).delete(big.id)
    with pytest.raises(NotFound):
        await Flavours(database).get(big.id)
