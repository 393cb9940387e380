"""How many nodes are enough."""

from dataclasses import replace

import pytest

from qvdnode.model.errors import Invalid
from qvdnode.plan.core.demand import Arrivals, Demand, DesktopModel, NodeModel
from qvdnode.plan.simulation import Simulation
from qvdnode.plan.sizing import fewest_nodes

NODE = NodeModel(17 * 1024, cores=4, starts_at_once=4)
"""Room for 32 desktops."""
DEMAND = Demand(100, 300.0, running=60, desktop=DesktopModel(512, 100, 2.0, 1.0))


def test_memory_alone_may_decide() -> None:
    assert fewest_nodes(DEMAND, NODE, 10.0, seed=1).nodes == 5


def test_a_rush_needs_more_and_one_less_is_not_enough() -> None:
    tried: list[int] = []
    rush = replace(DEMAND, window_s=20.0, arrivals=Arrivals.BELL)
    outcome = fewest_nodes(rush, NODE, 10.0, 1, lambda outcome: tried.append(outcome.nodes))
    assert outcome.nodes > 5
    assert outcome.is_good(10.0)
    assert not Simulation(rush, NODE, outcome.nodes - 1, 1).run().is_good(10.0)
    assert tried[0] == 5


@pytest.mark.parametrize(
    ("demand", "goal_s", "because"),
    [
        (DEMAND, 1.0, "A start takes 2 s by itself"),
        (replace(DEMAND, desktop=DesktopModel(65536, 1, 1.0, 1.0)), 10.0, "does not fit"),
        (replace(DEMAND, running=40_000), 10.0, "More than 1000 nodes"),
    ],
)
def test_what_no_farm_can_do_is_said(demand: Demand, goal_s: float, because: str) -> None:
    with pytest.raises(Invalid, match=because):
        fewest_nodes(demand, NODE, goal_s, seed=1)
