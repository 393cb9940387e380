import random

import pytest

from qvdnode.cluster.core.placement import Load, Wish
from qvdnode.cluster.scheduler import Scheduler
from qvdnode.model.errors import NodeFull
from qvdnode.model.ids import NodeId
from tests.unit.cluster.core.test_placement import node

WISH = Wish(memory_mib=1024, driver="lxc")


class Farm:
    """A farm of nodes that are as loaded as told."""

    def __init__(self, *loads: Load) -> None:
        self._loads = list(loads)

    def loads(self) -> list[Load]:
        return self._loads


def choice(*loads: Load) -> Scheduler:
    return Scheduler(Farm(*loads), random.Random(1))


def test_a_farm_of_one_chooses_itself() -> None:
    assert choice(node(4)).choose(WISH) == 4


def test_the_node_that_ran_it_last_is_preferred() -> None:
    assert choice(node(1), node(2), node(3)).choose(WISH, ran_last=NodeId(2)) == 2


def test_a_full_farm_says_why() -> None:
    with pytest.raises(NodeFull, match="node 1: 0 MiB of memory are left"):
        choice(node(1, promised_mib=70_000)).choose(WISH)


def test_a_farm_without_nodes_says_so() -> None:
    with pytest.raises(NodeFull, match="No node of the farm is up"):
        choice().choose(WISH)
