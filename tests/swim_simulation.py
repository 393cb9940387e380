"""Simulated farms by the thousand: a part of `make soak`.

    python -m tests.swim_simulation [--seconds N]
    python -m tests.swim_simulation --scenario NAME --size N --seed S

The first runs fresh seeds until the time is over; the second repeats one run, as a failed one says.
"""

import argparse
import itertools
import random
import sys
import time
from collections import Counter
from typing import Final

from tests.simulation.cluster.farm import Broken
from tests.simulation.cluster.scenarios import SCENARIOS, play, replay_command

SIZES: Final = (5, 5, 5, 25, 25, 5, 5, 25, 100)
"""Small farms are quick, so that most runs are of those."""


def attempt(name: str, size: int, seed: int) -> bool:
    """Play one scenario; whether everything held. Raises what a mistake in the core raises."""
    held = False
    try:
        play(name, size, seed)
        held = True
    except Broken as error:
        print(f"{name}: {error}")
    finally:
        if not held:
            print(f"failed; again: {replay_command(name, size, seed)}", flush=True)
    return held


def soak(seconds: float, first_seed: int) -> int:
    """Fresh seeds until the time is over; the number of failures."""
    began_s = time.monotonic()
    failures: Counter[str] = Counter()
    runs = 0
    for seed in itertools.count(first_seed):
        size = SIZES[seed % len(SIZES)]
        for name in SCENARIOS:
            if time.monotonic() - began_s > seconds:
                print(f"{runs} simulated farms, {failures.total()} failures {dict(failures)}")
                return failures.total()
            runs += 1
            failures[name] += not attempt(name, size, seed)
    raise AssertionError


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--size", type=int, default=5)
    parser.add_argument("--seed", type=int, default=None, help="by default any")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.Random().randrange(10**9)
    if arguments.scenario:
        return 0 if attempt(arguments.scenario, arguments.size, seed) else 1
    return 1 if soak(arguments.seconds, seed) else 0


if __name__ == "__main__":
    sys.exit(main())
