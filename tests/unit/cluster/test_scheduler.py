import random

import pytest

from qvdnode.cluster.core.placement import Load, Ranked, Refused, Wish
from qvdnode.cluster.scheduler import Scheduler
from qvdnode.model.errors import NodeFull
from qvdnode.model.ids import NodeId
from tests.fakes.clock import ManualClock
from tests.fakes.node_names import NAMES
from tests.unit.cluster.core.test_placement import node

WISH = Wish(memory_mib=1024, driver="lxc")


class Farm:
    """A farm of nodes that are as loaded as told."""

    def __init__(self, *loads: Load) -> None:
        self._loads = list(loads)

    def loads(self) -> list[Load]:
        return self._loads


def choice(*loads: Load) -> Scheduler:
    return Scheduler(Farm(*loads), NAMES, random.Random(1), ManualClock())


def test_a_farm_of_one_chooses_itself() -> None:
    assert choice(node(4)).choose(WISH).node_id == 4


def test_the_node_that_ran_it_last_is_preferred() -> None:
    assert choice(node(1), node(2), node(3)).choose(WISH, ran_last=NodeId(2)).node_id == 2


def test_a_full_farm_says_why() -> None:
    with pytest.raises(NodeFull, match="node desk1: 0 MiB of memory are left"):
        choice(node(1, promised_mib=70_000)).choose(WISH)


def test_a_farm_without_nodes_says_so() -> None:
    with pytest.raises(NodeFull, match="No node of the farm is up"):
        choice().choose(WISH)


def test_a_node_that_refused_it_just_now_is_not_asked_again() -> None:
    farm = choice(node(1), node(2))
    assert farm.choose(WISH, ran_last=NodeId(1), without={NodeId(1)}).node_id == 2
    with pytest.raises(NodeFull):
        farm.choose(WISH, without={NodeId(1), NodeId(2)})


def test_starts_that_the_figures_do_not_show_yet_count() -> None:
    """One desktop fits on each node: the second goes to the other one, the third nowhere."""
    farm = choice(*(node(n, capacity_mib=1024, age_s=5.0) for n in (1, 2)))
    assert {farm.choose(WISH).node_id, farm.choose(WISH).node_id} == {1, 2}
    with pytest.raises(NodeFull, match="0 MiB of memory are left"):
        farm.choose(WISH)


def test_a_node_that_has_the_image_is_preferred() -> None:
    farm = choice(node(1), node(2, images=1 << 5), node(3))
    assert farm.choose(Wish(1024, "lxc", image_bit=5)).node_id == 2


def test_a_choice_says_why() -> None:
    choice_made = choice(node(1, draining=True), node(2, images=1 << 5), node(3)).choose(
        Wish(1024, "lxc", image_bit=5)
    )
    assert choice_made.reasons[0].startswith("desk2 was chosen with ")
    assert "image here +3.0" in choice_made.reasons[0]
    assert choice_made.reasons[1].startswith("desk3 had ")
    assert "image" not in choice_made.reasons[1]
    assert choice_made.reasons[2:] == ("desk1 could not take it: an administrator empties it.",)


def test_a_dry_run_chooses_and_counts_nothing() -> None:
    farm = choice(node(1, capacity_mib=1024, age_s=5.0))
    for _ in range(2):
        ((load, said),) = farm.verdicts(WISH)
        assert (load.node_id, isinstance(said, Ranked)) == (1, True)
    assert farm.choose(WISH).node_id == 1
    ((_, said),) = farm.verdicts(WISH)
    assert isinstance(said, Refused)
