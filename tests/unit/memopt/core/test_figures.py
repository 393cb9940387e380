import pytest

from qvdnode.memopt.core.figures import YOUNG_S, cpu_pct
from qvdnode.model.guest import GuestMemory
from qvdnode.model.vm_state import VmState
from tests.unit.memopt.guests import guest


def used(cpu_us: int) -> GuestMemory:
    return GuestMemory(0, 0, cpu_us=cpu_us)


@pytest.mark.parametrize(
    ("before", "now", "seconds", "pct"),
    [(0, 500_000, 5.0, 10.0), (500_000, 0, 5.0, 0.0), (0, 500_000, 0.0, 0.0)],
)
def test_processor_time_is_told_in_percent_of_a_core(
    before: int, now: int, seconds: float, pct: float
) -> None:
    assert cpu_pct(used(before), used(now), seconds) == pct


def test_the_first_measurement_tells_no_load() -> None:
    assert cpu_pct(None, used(10**9), 5.0) == 0.0


@pytest.mark.parametrize(
    ("state", "up_s", "young"),
    [
        (VmState.BOOTING, 1.0, True),
        (VmState.RUNNING, YOUNG_S - 1, True),
        (VmState.RUNNING, YOUNG_S, False),
        (VmState.HIBERNATED, 1.0, False),
    ],
)
def test_a_guest_is_young_until_it_has_settled(state: VmState, up_s: float, *, young: bool) -> None:
    assert guest(state=state, up_s=up_s).is_young is young
