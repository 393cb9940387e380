from qvdnode.cluster.core.recent_starts import COUNTED_S, RecentStarts
from qvdnode.model.ids import NodeId
from tests.unit.cluster.core.test_placement import node


def started(*at_s: float, node_id: int = 1) -> RecentStarts:
    recent = RecentStarts()
    for moment_s in at_s:
        recent.add(NodeId(node_id), 1024, moment_s)
    return recent


def test_a_start_that_the_figures_do_not_show_yet_is_added() -> None:
    load = started(10.0, 11.0).counted(node(1, guests=3, age_s=5.0), 12.0)
    assert (load.promised_mib, load.guests, load.start_tokens_free) == (2048, 5, 4)


def test_starts_beyond_the_free_tokens_wait() -> None:
    load = started(*[10.0] * 8).counted(node(1, age_s=5.0), 11.0)
    assert (load.start_tokens_free, load.starts_waiting) == (0, 2)


def test_a_start_that_the_figures_show_already_is_not_counted_twice() -> None:
    load = node(1, age_s=1.0)
    assert started(10.0).counted(load, 12.0) == load


def test_a_start_on_another_node_does_not_count() -> None:
    load = node(2, age_s=5.0)
    assert started(10.0).counted(load, 11.0) == load


def test_an_old_start_is_forgotten_though_the_figures_are_older() -> None:
    load = node(1, age_s=60.0)
    assert started(0.0).counted(load, COUNTED_S + 1) == load
