"""One node of a simulated farm."""

import pytest

from qvdnode.model.errors import NodeBusy, NodeFull
from qvdnode.model.ids import NodeId
from qvdnode.plan.core.demand import DesktopModel, NodeModel
from qvdnode.plan.core.simulated_node import SimulatedNode

SMALL = NodeModel(5 * 1024, cores=2, starts_at_once=2)
"""Room for four desktops of 1 GiB."""
DESKTOP = DesktopModel(1024, 100, start_s=10.0, start_cpu_s=10.0)


def node(
    model: NodeModel = SMALL, desktop: DesktopModel = DESKTOP, running: int = 0
) -> SimulatedNode:
    return SimulatedNode(NodeId(1), model, desktop, running)


def test_a_start_takes_its_time_on_an_idle_host() -> None:
    one = node()
    assert one.next_ready_s() is None
    one.take(7, 3.0)
    assert one.next_ready_s() == 13.0
    assert one.ready(12.0) == []
    assert one.ready(13.0) == [7]
    assert (one.running, one.owned) == (1, 1)


def test_starts_share_the_cores_when_they_are_short() -> None:
    one = node(NodeModel(9 * 1024, cores=1, starts_at_once=2))
    one.take(1, 0.0)
    one.take(2, 0.0)
    assert one.next_ready_s() == 20.0
    assert one.ready(20.0) == [1, 2]


def test_desktops_in_use_leave_less_for_starts() -> None:
    busy = DesktopModel(1024, 100, 10.0, 10.0, busy_pct=75)
    one = node(NodeModel(9 * 1024, cores=1, starts_at_once=1), busy, running=1)
    one.take(1, 0.0)
    assert one.next_ready_s() == 40.0
    overloaded = node(NodeModel(9 * 1024, cores=1, starts_at_once=1), busy, running=2)
    overloaded.take(1, 0.0)
    assert overloaded.next_ready_s() == 200.0  # a twentieth of the core is left for it


def test_a_start_without_work_for_the_processor_is_never_slowed_down() -> None:
    one = node(desktop=DesktopModel(1024, 100, 10.0, 0.0))
    one.take(1, 0.0)
    assert one.next_ready_s() == 10.0


def test_others_wait_for_a_slot_and_follow() -> None:
    one = node()
    for login in (1, 2, 3):
        one.take(login, 0.0)
    assert (one.waiting, one.owned, one.longest_queue) == (1, 3, 1)
    with pytest.raises(NodeBusy) as caught:
        one.take(4, 0.0, may_wait=False)
    assert caught.value.waiting == 1
    assert one.ready(10.0) == [1, 2]
    assert one.waiting == 0
    assert one.ready(20.0) == [3]


def test_what_does_not_fit_is_refused() -> None:
    one = node(running=4)
    with pytest.raises(NodeFull, match="needs 1024 MiB"):
        one.take(1, 0.0)
    crowded = node(NodeModel(9 * 1024, 2, 2, guests_max=1), running=1)
    with pytest.raises(NodeFull, match="as many desktops as it may"):
        crowded.take(1, 0.0)


def test_more_than_there_is_shows() -> None:
    assert not node(running=4).is_overcommitted
    assert node(running=5).is_overcommitted
    generous = NodeModel(5 * 1024, 2, 2, overcommit=99.0)
    assert not node(generous, running=40).is_overcommitted
    assert node(generous, running=41).is_overcommitted


def test_its_load_is_what_placement_reads() -> None:
    busy = DesktopModel(1024, 100, 10.0, 5.0, busy_pct=50)
    one = node(desktop=busy, running=1)
    for login in (1, 2, 3):
        one.take(login, 0.0)
    load = one.load()
    assert (load.capacity_mib, load.promised_mib, load.guests) == (4096, 4096, 4)
    assert (load.starts_waiting, load.start_tokens, load.start_tokens_free) == (1, 2, 0)
    assert load.run_queue == 1.5
    assert one.load() is load
    one.ready(1.0)
    assert one.load() == load
