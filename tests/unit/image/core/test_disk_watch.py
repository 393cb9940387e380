from dataclasses import replace

import pytest

from qvdnode.image.core.disk_watch import FAST_S, SLOW_S, Space, Writer, pause_s, stop_orders
from qvdnode.model.ids import VmId

CALM = Space("/state", free_mib=9_000, lost_mib=100, seconds=1, floor_mib=2_000, alarm_mib=4_000)
WRITERS = [Writer(VmId(1), 5), Writer(VmId(2), 90, 300), Writer(VmId(3), 0.5)]


def ended(space: Space, writers: list[Writer]) -> list[tuple[int, bool]]:
    return [(order.vm_id, order.at_once) for order in stop_orders(space, writers)]


def test_above_the_alarm_mark_nobody_is_ended() -> None:
    assert ended(replace(CALM, free_mib=4_000, lost_mib=3_000), WRITERS) == []


@pytest.mark.parametrize(
    ("free", "found"),
    [
        (3_999, [(2, False)]),  # the floor is 20 s away
        (3_501, [(2, False)]),
        (3_499, [(2, True)]),  # less than 15 s
        (2_000, [(2, True)]),
    ],
)
def test_below_it_the_greatest_writer_is_and_asked_first_while_there_is_time(
    free: float, found: list[tuple[int, bool]]
) -> None:
    assert ended(replace(CALM, free_mib=free), WRITERS) == found


def test_a_slow_writer_is_let_go_on_while_the_floor_is_far() -> None:
    slow = replace(CALM, free_mib=3_000, lost_mib=2)
    assert ended(slow, [Writer(VmId(2), 2, 300)]) == []
    assert ended(replace(slow, free_mib=2_100), [Writer(VmId(2), 2, 300)]) == [(2, False)]


@pytest.mark.parametrize("lost", [0, -50])
def test_space_that_does_not_shrink_is_nobodys_fault(lost: float) -> None:
    assert ended(replace(CALM, free_mib=2_100, lost_mib=lost), WRITERS) == []


def test_a_desktop_is_not_ended_for_what_somebody_else_writes() -> None:
    busy = replace(CALM, free_mib=2_500, lost_mib=3_100)
    assert ended(busy, WRITERS) == []
    assert ended(replace(busy, lost_mib=2_900), WRITERS) == [(2, True)]


def test_below_the_floor_all_that_had_a_part_in_it_are_ended_at_once() -> None:
    full = replace(CALM, free_mib=1_999, lost_mib=0)
    assert ended(full, [*WRITERS, Writer(VmId(4), 1, 400)]) == [(4, True), (2, True)]


def test_far_below_the_floor_all_that_grow_are_ended_at_once_the_greatest_first() -> None:
    full = replace(CALM, free_mib=999, lost_mib=0)
    assert ended(full, WRITERS) == [(2, True), (1, True)]


def test_nobody_is_ended_for_a_document() -> None:
    assert ended(replace(CALM, free_mib=2_100), [Writer(VmId(2), 150, 150)]) == []


def test_the_reason_names_figures_and_what_to_do() -> None:
    (order,) = stop_orders(replace(CALM, free_mib=2_500), WRITERS)
    for part in (
        "wrote 300 MiB since 4000 MiB were free",
        "2500 MiB were free in /state",
        "home is kept",
    ):
        assert part in order.because


@pytest.mark.parametrize(
    ("space", "pause"),
    [
        (CALM, SLOW_S),
        (replace(CALM, free_mib=3_900), FAST_S),
        (replace(CALM, lost_mib=1_100), FAST_S),  # 9,000 - 5 * 1,100 is below the mark
        (replace(CALM, seconds=0), SLOW_S),
    ],
)
def test_it_looks_more_often_when_the_mark_is_near(space: Space, pause: float) -> None:
    assert pause_s(space) == pause
