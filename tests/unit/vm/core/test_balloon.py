from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.guest import HostNeed
from qvdnode.vm.core import balloon
from qvdnode.vm.core.balloon import MIB, BalloonFigures, figures, target_mib

IDLE: Final = BalloonFigures(full_mib=1024, actual_mib=1024, available_mib=700, major_faults=5)
TOLD: Final = {
    "stats": {"stat-available-memory": 300 * MIB, "stat-major-faults": 7, "stat-swap-in": 0},
    "last-update": 1_700_000_000,
}
UNTOLD: Final = 2**64 - 1


@pytest.mark.parametrize(
    ("now", "need", "wanted_mib"),
    [
        (IDLE, HostNeed.NONE, 1024),
        (replace(IDLE, actual_mib=600, available_mib=300), HostNeed.NONE, 1024),
        (IDLE, HostNeed.SHORT, 1024 - 51),
        (IDLE, HostNeed.SQUEEZED, 1024 - 153),
        # no more than what it has beyond its reserve
        (replace(IDLE, available_mib=163), HostNeed.SQUEEZED, 1024 - 10),
        # it is short itself
        (replace(IDLE, actual_mib=600, available_mib=50), HostNeed.SQUEEZED, 600 + 256),
        (replace(IDLE, actual_mib=900, available_mib=50), HostNeed.SQUEEZED, 1024),
        # it has come down to the floor
        (replace(IDLE, actual_mib=410, available_mib=300), HostNeed.SQUEEZED, 409),
        (replace(IDLE, actual_mib=300, available_mib=200), HostNeed.SHORT, 409),
        # it tells nothing
        (replace(IDLE, available_mib=None), HostNeed.SQUEEZED, 1024),
        (BalloonFigures(128, 128, 100), HostNeed.SQUEEZED, 128),
    ],
)
def test_how_much_it_is_to_have(now: BalloonFigures, need: HostNeed, wanted_mib: int) -> None:
    assert target_mib(now, None, need) == wanted_mib
    assert target_mib(now, now, need) == wanted_mib


def test_a_guest_that_waits_for_its_disk_gets_memory_back() -> None:
    now = replace(IDLE, actual_mib=600, available_mib=300, major_faults=1000)
    assert target_mib(now, replace(now, major_faults=100), HostNeed.SQUEEZED) == 600 + 256


@given(st.integers(0, 2048), st.integers(0, 2048), st.sampled_from(HostNeed))
def test_it_never_has_less_than_the_floor_nor_more_than_its_flavour(
    actual_mib: int, available_mib: int, need: HostNeed
) -> None:
    now = BalloonFigures(1024, min(actual_mib, 1024), min(available_mib, actual_mib))
    assert min(now.actual_mib, 409) <= target_mib(now, None, need) <= 1024


def test_an_idle_guest_gives_what_it_does_not_use_and_gets_it_back_when_it_works() -> None:
    uses_mib, actual_mib = 350, 1024
    for _ in range(60):
        now = BalloonFigures(1024, actual_mib, max(0, actual_mib - uses_mib))
        actual_mib = target_mib(now, now, HostNeed.SHORT)
    assert actual_mib <= 450
    assert actual_mib - uses_mib >= balloon.RESERVE_MIB - 1, "it has no room left"
    for _ in range(4):
        now = BalloonFigures(1024, actual_mib, max(0, actual_mib - 800))
        actual_mib = target_mib(now, now, HostNeed.SHORT)
    assert actual_mib >= 800 + balloon.RESERVE_MIB


def test_answers_of_qemu_are_read() -> None:
    found = figures(1024, {"actual": 512 * MIB}, TOLD)
    assert found == BalloonFigures(1024, 512, 300, 7)


@pytest.mark.parametrize(
    "stats",
    [
        None,
        {"stats": {}, "last-update": 0},
        {"stats": {"stat-available-memory": UNTOLD, "stat-major-faults": UNTOLD}, "last-update": 9},
        {"stats": {"stat-available-memory": -1}, "last-update": 9},
        {"stats": {"stat-available-memory": "all"}, "last-update": 9},
    ],
)
def test_a_guest_that_tells_nothing_of_use_is_not_believed(stats: object) -> None:
    assert figures(1024, {"actual": 512 * MIB}, stats).available_mib is None


def test_a_lie_is_bounded() -> None:
    lie = {"stats": {"stat-available-memory": 2**60}, "last-update": 9}
    assert figures(1024, {"actual": 2**62}, lie) == BalloonFigures(1024, 1024, 1024)


@pytest.mark.parametrize("answer", [None, {}, {"actual": "512"}, {"actual": -1}, []])
def test_what_is_no_answer_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match="did not tell"):
        figures(1024, answer, None)
