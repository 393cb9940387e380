"""What a farm is planned for."""

import random

import pytest

from qvdnode.model.errors import Invalid
from qvdnode.plan.core.demand import Arrivals, Demand, DesktopModel, NodeModel, login_times

DESKTOP = DesktopModel(512, 100, 2.0, 2.0)


@pytest.mark.parametrize("arrivals", Arrivals)
def test_all_logins_come_within_the_window(arrivals: Arrivals) -> None:
    times = login_times(Demand(500, 60.0, arrivals), random.Random(7))
    assert len(times) == 500
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 60


def test_a_peak_is_in_the_middle_and_a_bell_at_the_beginning() -> None:
    def share(arrivals: Arrivals, begin_s: float, end_s: float) -> float:
        times = login_times(Demand(2000, 100.0, arrivals), random.Random(7))
        return sum(begin_s <= time < end_s for time in times) / len(times)

    assert share(Arrivals.EVEN, 40, 60) == pytest.approx(0.2, abs=0.03)
    assert share(Arrivals.PEAK, 40, 60) == pytest.approx(0.309, abs=0.03)  # sin(pi / 10)
    assert share(Arrivals.BELL, 0, 10) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: DesktopModel(0, 0, 1, 1),
        lambda: DesktopModel(1, -1, 1, 1),
        lambda: DesktopModel(1, 1, 0, 1),
        lambda: DesktopModel(1, 1, 1, -1),
        lambda: NodeModel(1024, 1, 1),
        lambda: NodeModel(4096, 0, 1),
        lambda: NodeModel(4096, 1, 0),
        lambda: NodeModel(4096, 1, 1, queue_max=-1),
        lambda: Demand(0, 1),
        lambda: Demand(1, 0),
        lambda: Demand(1, 1, running=-1),
        lambda: Demand(1, 1, data_age_s=-1),
    ],
)
def test_what_cannot_be_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(Invalid):
        wrong()
