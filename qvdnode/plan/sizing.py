"""How many nodes a demand needs: the fewest with which a simulated morning goes well."""

import math
from collections.abc import Callable

from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.memopt.core.promise import capacity_mib
from qvdnode.model.errors import Invalid
from qvdnode.plan.core.demand import Demand, NodeModel
from qvdnode.plan.core.outcome import Outcome
from qvdnode.plan.simulation import Simulation

NODES_MAX = 1000


def fewest_nodes(
    demand: Demand,
    model: NodeModel,
    ready_goal_s: float,
    seed: int,
    told: Callable[[Outcome], None] = lambda _outcome: None,
) -> Outcome:
    """The outcome with the fewest nodes that is good; `told` gets each that was tried.

    Raises Invalid when a desktop fits on no node, takes longer than the goal by itself, or the
    farm would need more than NODES_MAX.
    """
    enough = least = _least_nodes(demand, model, ready_goal_s)
    tried: dict[int, Outcome] = {}

    def is_good(nodes: int) -> bool:
        tried[nodes] = Simulation(demand, model, nodes, seed).run()
        told(tried[nodes])
        return tried[nodes].is_good(ready_goal_s)

    while enough <= NODES_MAX and not is_good(enough):
        least = enough + 1
        enough = math.ceil(enough * 1.25)
    if enough > NODES_MAX:
        raise Invalid(
            f"More than {NODES_MAX} nodes would be needed. Spread the logins over more time,"
            " or take nodes with more memory, cores or start slots.",
            field="logins",
        )
    while least < enough:
        middle = (least + enough) // 2
        if is_good(middle):
            enough = middle
        else:
            least = middle + 1
    return tried[enough]


def _least_nodes(demand: Demand, model: NodeModel, ready_goal_s: float) -> int:
    """So many nodes are needed for the memory alone."""
    desktop = demand.desktop
    if desktop.start_s > ready_goal_s:
        raise Invalid(
            f"A start takes {desktop.start_s:g} s by itself, and it is to take at most"
            f" {ready_goal_s:g} s with a queue.",
            field="ready_goal_s",
        )
    memory = HostMemory(model.memory_mib, model.memory_mib, swap_free_mib=0)
    capacity = capacity_mib(memory, model.host_reserve_mib, model.overcommit)
    fits = min(capacity // desktop.memory_mib, model.guests_max)
    if not fits:
        raise Invalid(
            f"A desktop of {desktop.memory_mib} MiB does not fit on a node that may promise"
            f" {capacity} MiB.",
            field="memory_mib",
        )
    return math.ceil((demand.running + demand.logins) / fits)
