"""A farm's logins in virtual time."""

import asyncio
from dataclasses import replace

import pytest

from qvdnode.model.ids import NodeId
from qvdnode.plan.core.demand import Arrivals, Demand, DesktopModel, NodeModel
from qvdnode.plan.simulation import PlainNames, Simulation, VirtualClock

SLOW = DesktopModel(1024, 100, start_s=20.0, start_cpu_s=20.0 * 16 / 6)
NODE = NodeModel(128 * 1024, cores=16, starts_at_once=6)
DEMAND = Demand(400, 60.0, running=500, data_age_s=2.0, desktop=SLOW)


def test_everybody_gets_a_desktop_and_no_node_more_than_its_share() -> None:
    outcome = Simulation(replace(DEMAND, window_s=120.0), NODE, 10, seed=1).run()
    assert len(outcome.ready_s) == 400
    assert outcome.refused == outcome.overcommitted == 0
    assert sum(outcome.desktops) == 900
    assert outcome.ready_s[0] == pytest.approx(20.0)
    assert outcome.ready_pct_s(99) < 45
    assert outcome.max_over_mean < 1.1
    assert outcome.samples[0].running == 500
    assert outcome.samples[-1].running == 900
    assert outcome.samples[-1].waiting == 0


def test_the_same_seed_gives_the_same_morning() -> None:
    first, again = (Simulation(DEMAND, NODE, 10, seed=3).run() for _ in range(2))
    assert first == again
    assert Simulation(DEMAND, NODE, 10, seed=4).run().ready_s != first.ready_s


def test_old_figures_do_little_harm_since_busy_nodes_send_starts_on() -> None:
    fresh, old = (
        Simulation(replace(DEMAND, window_s=120.0, data_age_s=age_s), NODE, 10, seed=1).run()
        for age_s in (0.0, 30.0)
    )
    assert old.redirects > 0
    assert old.ready_pct_s(99) < 1.5 * fresh.ready_pct_s(99)


def test_a_farm_without_memory_refuses_and_promises_nothing_twice() -> None:
    outcome = Simulation(
        replace(DEMAND, running=0), replace(NODE, memory_mib=21 * 1024), 10, 1
    ).run()
    assert outcome.refused == 200
    assert outcome.desktops == (20,) * 10
    assert outcome.overcommitted == 0


def test_a_full_queue_refuses() -> None:
    model = replace(NODE, queue_max=0)
    outcome = Simulation(replace(DEMAND, arrivals=Arrivals.BELL), model, 10, 1).run()
    assert outcome.refused == 400 - 60


def test_more_desktops_than_memory_show_as_overcommitted() -> None:
    model = replace(NODE, memory_mib=21 * 1024, overcommit=99.0, available_floor_mib=0)
    desktop = replace(SLOW, used_mib=1024)
    outcome = Simulation(replace(DEMAND, running=0, desktop=desktop), model, 10, 1).run()
    assert outcome.overcommitted == 10


def test_the_clock_and_the_names_are_virtual() -> None:
    clock = VirtualClock()
    clock.now_s = 60.0
    assert clock.now().minute == 1
    with pytest.raises(NotImplementedError):
        asyncio.run(clock.sleep(1))
    names = PlainNames()
    assert names.name(NodeId(3)) == "3"
    assert not names.removed(NodeId(3))
    assert names.with_homes_of(NodeId(3)) == {3}
