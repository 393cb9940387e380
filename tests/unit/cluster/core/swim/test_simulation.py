"""The real core in virtual time, with a few seeds; `python -m tests.swim_simulation` has more."""

import random

import pytest

from tests.simulation.cluster.farm import Broken, Farm
from tests.simulation.cluster.scenarios import SCENARIOS, begin, play, replay_command

SEEDS = random.Random().sample(range(10**6), 2)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_invariants_hold(name: str, seed: int) -> None:
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


def test_a_dead_member_does_not_make_the_others_doubt_themselves() -> None:
    farm = Farm(8, 1)
    begin(farm)
    farm.run(15)
    (victim, *others) = farm.running()
    farm.kill(victim)
    worst = 0
    for _ in range(200):
        farm.run(0.05)
        worst = max(worst, *(host.swim.health for host in others))
    assert {death[2] for death in farm.deaths()} == {victim.name}
    # Three asked in vain would be 3; a helper's Nack says that the trouble is not on this side.
    assert worst == 0
