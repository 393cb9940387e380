"""A simulated morning of a large farm, by the code that `qvdnode plan` runs.

25 nodes, 6,000 desktops that run and 4,000 logins in ten minutes, a start of 20 s that six at once
do not slow down, load figures of the other nodes 30 s old. A round is one seed.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from bench import options, results_file
from bench.results_file import Figure, median, total
from qvdnode.plan.core.demand import Demand, DesktopModel, NodeModel
from qvdnode.plan.simulation import Simulation

ROUNDS: Final = 9
NODES: Final = 25
CORES, STARTS_AT_ONCE, START_S = 16, 6, 20.0
DESKTOP: Final = DesktopModel(1024, 100, START_S, START_S * CORES / STARTS_AT_ONCE)
NODE: Final = NodeModel(512 * 1024, CORES, STARTS_AT_ONCE)
DEMAND: Final = Demand(4000, 600.0, running=6000, data_age_s=30.0, desktop=DESKTOP)


def by_second(ready_s: Sequence[float]) -> dict[int, int]:
    """How many users had their desktop within each second."""
    return dict(sorted(Counter(math.ceil(one) for one in ready_s).items()))


def main() -> None:
    """Simulate, and write bench/results/plan.json."""
    parser = options.parser(__doc__, rounds=ROUNDS, quick_rounds=2)
    wanted = options.Options.of(parser.parse_args())
    logging.disable(logging.INFO)  # a line for each choice
    outcomes = [Simulation(DEMAND, NODE, NODES, seed).run() for seed in range(wanted.rounds)]
    figures: dict[str, Figure] = {
        "ready_p50_s": median([outcome.ready_pct_s(50) for outcome in outcomes]),
        "ready_p99_s": median([outcome.ready_pct_s(99) for outcome in outcomes]),
        "ready_max_s": median([outcome.ready_pct_s(100) for outcome in outcomes]),
        "max_over_mean": median([outcome.max_over_mean for outcome in outcomes]),
        "overcommitted": total([outcome.overcommitted for outcome in outcomes]),
        "refused": total([outcome.refused for outcome in outcomes]),
        "redirects": median([outcome.redirects for outcome in outcomes]),
    }
    raw = [
        asdict(outcome) | {"seed": seed, "ready_s": by_second(outcome.ready_s), "samples": ()}
        for seed, outcome in enumerate(outcomes)
    ]
    results_file.report("plan", figures, raw, wanted)


if __name__ == "__main__":
    main()
