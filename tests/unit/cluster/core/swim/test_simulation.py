"""The real core in virtual time, with a few seeds; `python -m tests.swim_simulation` has more."""

import random

import pytest

from tests.simulation.cluster.farm import Broken, Farm
from tests.simulation.cluster.scenarios import SCENARIOS, begin, play, replay_command

SEEDS = random.Random().sample(range(10**6), 2)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_must_hold_holds(name: str, seed: int) -> None:
    for size in (4, 5):
        try:
            play(name, size, seed)
        except Broken as error:
            pytest.fail(f"{error}\nagain: {replay_command(name, size, seed)}")


def test_a_seed_repeats_a_run() -> None:
    def story() -> list[object]:
        farm = Farm(5, 42)
        begin(farm)
        farm.network.loss = 0.3
        farm.run(20)
        return [
            *farm.sent.items(),
            *(event for host in farm.hosts.values() for event in host.events),
        ]

    assert story() == story()
