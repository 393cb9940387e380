"""Where a desktop is started."""

import random
from dataclasses import replace

import pytest

from qvdnode.cluster.core.placement import IMAGE_BITS, Load
from qvdnode.cluster.scheduler import Scheduler
from qvdnode.model.errors import NodeFull, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.session.place import LocalPlacement
from tests.fakes.clock import ManualClock
from tests.fakes.orders import desktop_order
from tests.unit.cluster.core.test_placement import node


class Farm:
    """What nodes tell of themselves."""

    def __init__(self, *loads: Load) -> None:
        self._loads = list(loads)

    def loads(self) -> list[Load]:
        return self._loads


EVERY_IMAGE = 2**IMAGE_BITS - 1


def choice(here: int | None, *loads: Load) -> LocalPlacement:
    source = Scheduler(Farm(*loads), random.Random(1), ManualClock())
    return LocalPlacement(source, lambda: None if here is None else NodeId(here))


def test_a_farm_of_one_starts_everything_itself() -> None:
    assert choice(1, node(1, images=EVERY_IMAGE)).choose(desktop_order()) == 1


def test_a_full_node_starts_nothing() -> None:
    with pytest.raises(NodeFull, match="MiB of memory are left"):
        choice(1, node(1, images=EVERY_IMAGE, promised_mib=64_500)).choose(desktop_order())


def test_a_node_that_has_not_joined_starts_nothing() -> None:
    with pytest.raises(Unavailable, match="database is away"):
        choice(None).choose(desktop_order())


def test_a_desktop_that_belongs_elsewhere_names_the_node() -> None:
    assert (
        choice(1, node(1, images=EVERY_IMAGE, draining=True), node(2, images=EVERY_IMAGE)).choose(
            desktop_order()
        )
        == 2
    )


def test_the_driver_of_the_flavour_is_needed() -> None:
    with pytest.raises(NodeFull, match="no driver lxc"):
        choice(1, node(1, images=EVERY_IMAGE, drivers=frozenset({"kvm"}))).choose(desktop_order())


def test_a_node_without_the_image_starts_nothing() -> None:
    with pytest.raises(NodeFull, match="does not have the image"):
        choice(1, node(1)).choose(desktop_order())
    assert choice(1, node(1), node(2, images=EVERY_IMAGE)).choose(desktop_order()) == 2


def test_a_desktop_starts_where_its_users_home_is() -> None:
    order = desktop_order()
    order = replace(order, user=replace(order.user, home_node=NodeId(2)))
    nodes = [node(number, images=EVERY_IMAGE) for number in (1, 2, 3)]
    assert choice(1, *nodes).choose(order) == 2
    with pytest.raises(NodeFull, match="node 1: the user's home is on another node"):
        choice(1, nodes[0], replace(nodes[1], draining=True)).choose(order)
    with pytest.raises(Unavailable, match="are on node 2, which is away"):
        choice(1, nodes[0], nodes[2]).choose(order)
