"""Where a desktop is started."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from qvdnode.cluster.core.placement import IMAGE_BITS, Load
from qvdnode.cluster.scheduler import Scheduler
from qvdnode.model.errors import NodeFull, Unavailable
from qvdnode.model.ids import NodeId, VmId
from qvdnode.session.place import LocalPlacement, PlacementNotes
from tests.fakes.clock import ManualClock
from tests.fakes.node_names import NAMES, REMOVED
from tests.fakes.orders import desktop_order
from tests.unit.cluster.core.test_placement import node


class Notes:
    """Satisfies session.place.PlacementNotes."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, int, int, list[str]]] = []
        self.away = False

    async def keep(
        self, vm_id: VmId, node_id: NodeId, chosen_by: NodeId, reasons: Sequence[str]
    ) -> None:
        if self.away:
            raise Unavailable("The database is away.")
        self.kept.append((vm_id, node_id, chosen_by, list(reasons)))


class Farm:
    """What nodes tell of themselves."""

    def __init__(self, *loads: Load) -> None:
        self._loads = list(loads)

    def loads(self) -> list[Load]:
        return self._loads


EVERY_IMAGE = 2**IMAGE_BITS - 1


def choice(here: int | None, *loads: Load, notes: PlacementNotes | None = None) -> LocalPlacement:
    source = Scheduler(Farm(*loads), NAMES, random.Random(1), ManualClock())
    return LocalPlacement(
        source, lambda: None if here is None else NodeId(here), notes or Notes(), NAMES
    )


def test_a_farm_of_one_starts_everything_itself() -> None:
    assert choice(1, node(1, images=EVERY_IMAGE)).choose(desktop_order()).node_id == 1


def test_a_full_node_starts_nothing() -> None:
    with pytest.raises(NodeFull, match="MiB of memory are left"):
        choice(1, node(1, images=EVERY_IMAGE, promised_mib=64_500)).choose(desktop_order())


def test_a_node_that_has_not_joined_starts_nothing() -> None:
    with pytest.raises(Unavailable, match="database is away"):
        choice(None).choose(desktop_order())


def test_a_desktop_that_belongs_elsewhere_names_the_node() -> None:
    assert (
        choice(1, node(1, images=EVERY_IMAGE, draining=True), node(2, images=EVERY_IMAGE))
        .choose(desktop_order())
        .node_id
        == 2
    )


def test_the_driver_of_the_flavour_is_needed() -> None:
    with pytest.raises(NodeFull, match="no driver lxc"):
        choice(1, node(1, images=EVERY_IMAGE, drivers=frozenset({"kvm"}))).choose(desktop_order())


def test_a_node_with_the_image_is_preferred_and_another_one_fetches_it() -> None:
    assert choice(1, node(1)).choose(desktop_order()).node_id == 1
    assert choice(1, node(1), node(2, images=EVERY_IMAGE)).choose(desktop_order()).node_id == 2


def test_a_desktop_starts_where_its_users_home_is() -> None:
    order = desktop_order()
    order = replace(order, user=replace(order.user, home_node=NodeId(2)))
    nodes = [node(number, images=EVERY_IMAGE) for number in (1, 2, 3)]
    assert choice(1, *nodes).choose(order).node_id == 2
    with pytest.raises(
        NodeFull, match="are on node desk2, which cannot start it now: an administrator empties it"
    ):
        choice(1, nodes[0], replace(nodes[1], draining=True)).choose(order)
    with pytest.raises(Unavailable, match="are on node desk2, which is away"):
        choice(1, nodes[0], nodes[2]).choose(order)
    order = replace(order, user=replace(order.user, home_node=REMOVED))
    with pytest.raises(Unavailable, match="on node desk99, which was removed from the farm"):
        choice(1, *nodes).choose(order)


async def test_the_reasons_of_a_choice_are_kept() -> None:
    notes = Notes()
    place = choice(1, node(2, images=EVERY_IMAGE), notes=notes)
    made = place.choose(desktop_order(7))
    await place.note(VmId(7), made, {NodeId(3): "It is full."})
    ((vm_id, node_id, chosen_by, reasons),) = notes.kept
    assert (vm_id, node_id, chosen_by) == (7, 2, 1)
    assert reasons == [*made.reasons, "desk3 was asked before, and refused: It is full."]


async def test_a_start_goes_on_when_its_reasons_cannot_be_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notes = Notes()
    notes.away = True
    place = choice(1, node(1, images=EVERY_IMAGE), notes=notes)
    await place.note(VmId(7), place.choose(desktop_order(7)))
    assert "placement_not_kept" in caplog.text
