"""The policy by table, and by simulation of guests whose working set is known."""

from dataclasses import dataclass, field, replace
from typing import Final

import pytest

from qvdnode.memopt.core import live_reclaim
from qvdnode.memopt.core.figures import MIB, GuestFigures
from qvdnode.memopt.core.hibernation import Marks
from qvdnode.memopt.core.live_reclaim import Feedback, LivePlan, need, plan_steps
from qvdnode.memopt.core.meminfo import HostMemory, Pressure
from qvdnode.model.guest import GuestMemory, HostNeed
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState
from tests.unit.memopt.guests import guest

MARKS: Final = Marks(warm_mib=4000, squeeze_mib=1000, busy_pct=5)
SHORT: Final = HostMemory(10_000, 2000, swap_free_mib=9000, swap_total_mib=9000)
CALM: Final = Pressure()
EVERY_S: Final = 5.0
PAGES: Final = 256
"""In a MiB."""


def planned(
    *guests: GuestFigures,
    memory: HostMemory = SHORT,
    pressure: Pressure = CALM,
    before: dict[VmId, Feedback] | None = None,
    now_s: float = 100.0,
) -> LivePlan:
    return plan_steps(guests, before or {}, (memory, pressure), MARKS, now_s)


def test_a_step_is_a_small_share() -> None:
    made = planned(guest(1, mib=100), guest(2, mib=400), guest(3, mib=20))
    assert {int(step.vm_id): step.mib for step in made.steps} == {1: 10, 2: 16, 3: 2}
    assert made.why == "only 2000 MiB are available"


@pytest.mark.parametrize(
    ("memory", "pressure", "why"),
    [
        (replace(SHORT, available_mib=4000), CALM, live_reclaim.ENOUGH),
        (replace(SHORT, swap_free_mib=64), CALM, live_reclaim.NO_ROOM),
        (replace(SHORT, swap_free_mib=0, swap_total_mib=0), CALM, live_reclaim.NO_ROOM),
        (SHORT, Pressure(some_pct=20.0), "programs wait for memory 20 % of the time"),
    ],
)
def test_when_nothing_is_pushed(memory: HostMemory, pressure: Pressure, why: str) -> None:
    made = planned(guest(), memory=memory, pressure=pressure)
    assert (made.steps, made.why) == ((), why)


def test_a_squeeze_counts_more_than_pressure() -> None:
    squeezed = replace(SHORT, available_mib=900)
    assert planned(guest(), memory=squeezed, pressure=Pressure(some_pct=50.0)).steps


@pytest.mark.parametrize(
    "spared",
    [
        guest(state=VmState.HIBERNATED),
        guest(up_s=10.0),
        guest(cpu_pct=20.0),
        guest(mib=8),
        guest(memory=GuestMemory(0, 0, anon_bytes=8 * MIB, swapped_bytes=90 * MIB)),
    ],
)
def test_who_is_left_alone(spared: GuestFigures) -> None:
    assert planned(spared).steps == ()


def test_the_idle_come_first_when_little_is_missing() -> None:
    nearly = replace(SHORT, available_mib=3990)
    made = planned(guest(1, cpu_pct=3.0), guest(2, cpu_pct=0.0), memory=nearly)
    assert [int(step.vm_id) for step in made.steps] == [2]


def test_one_pause_lies_between_two_steps() -> None:
    first = planned(guest(), now_s=100.0)
    assert planned(guest(), before=dict(first.memory), now_s=105.0).steps == ()
    assert planned(guest(), before=dict(first.memory), now_s=110.0).steps


def test_a_guest_that_started_anew_is_seen_anew() -> None:
    last = {VmId(1): Feedback(refaults=1000, at_s=90.0, pause_s=640.0, next_s=900.0)}
    made = planned(guest(), before=last)
    assert made.memory[VmId(1)].pause_s == live_reclaim.PAUSE_S
    assert made.steps


def test_who_reads_back_is_left_alone_twice_as_long_each_time() -> None:
    known = dict(planned(guest(), now_s=100.0).memory)
    for times, pause_s in ((1, 20.0), (2, 40.0), (7, 640.0), (9, 640.0)):
        known[VmId(1)] = replace(known[VmId(1)], pause_s=10.0 * 2 ** (min(times, 7) - 1))
        reads = replace(guest().memory, refaults=known[VmId(1)].refaults + 1000)
        made = planned(guest(memory=reads), before=known, now_s=105.0)
        assert made.memory[VmId(1)].pause_s == pause_s
        assert made.steps == ()


@dataclass
class Simulated:
    """A guest that touches its working set all the time; what is pushed of it comes back."""

    vm_id: int
    working_mib: int
    resident_mib: float
    swapped_mib: float = 0.0
    refaults: int = 0
    worst_mib_s: float = 0.0
    pushed: list[int] = field(default_factory=list)

    def live(self, seconds: float) -> None:
        back = max(0.0, min(self.working_mib - self.resident_mib, self.swapped_mib))
        self.resident_mib += back
        self.swapped_mib -= back
        self.refaults += int(back * PAGES)
        self.worst_mib_s = max(self.worst_mib_s, back / seconds)

    def push(self, mib: int) -> None:
        self.resident_mib -= mib
        self.swapped_mib += mib
        self.pushed.append(mib)

    def figures(self) -> GuestFigures:
        memory = GuestMemory(
            0, 0, anon_bytes=int(self.resident_mib * MIB),
            swapped_bytes=int(self.swapped_mib * MIB), refaults=self.refaults,
        )  # fmt: skip
        return guest(self.vm_id, memory=memory)


def simulate(guests: list[Simulated], minutes: float, available_mib: int = 500) -> None:
    known: dict[VmId, Feedback] = {}
    for tick in range(int(minutes * 60 / EVERY_S)):
        for one in guests:
            one.live(EVERY_S)
        memory = replace(SHORT, available_mib=available_mib)
        figures = [one.figures() for one in guests]
        made = plan_steps(figures, known, (memory, CALM), MARKS, tick * EVERY_S)
        known = dict(made.memory)
        for step in made.steps:
            guests[int(step.vm_id)].push(step.mib)


@pytest.mark.parametrize("working_mib", [25, 40, 70, 95])
def test_it_comes_down_to_the_working_set_and_then_hardly_touches_it(working_mib: int) -> None:
    one = Simulated(0, working_mib, 100.0)
    simulate([one], minutes=15)
    assert one.resident_mib <= working_mib + live_reclaim.STEP_MAX_MIB
    before = one.refaults
    simulate_again = Simulated(0, working_mib, one.resident_mib, one.swapped_mib)
    simulate([simulate_again], minutes=60)
    read_back_mib = simulate_again.refaults / PAGES
    assert before / PAGES < 100, "more was read back than there is"
    assert read_back_mib / 3600 < 0.02, "a desktop that has come down is disturbed all the time"
    assert simulate_again.worst_mib_s < 2.0


def test_a_farm_under_pressure_gives_what_it_does_not_use() -> None:
    farm = [Simulated(number, 30 + number % 40, 120.0) for number in range(200)]
    simulate(farm, minutes=10)
    saved = sum(one.swapped_mib for one in farm)
    assert saved > 0.7 * sum(120 - one.working_mib for one in farm)


def test_a_user_who_comes_back_to_work_is_not_pushed_again_at_once() -> None:
    one = Simulated(0, 30, 100.0)
    simulate([one], minutes=10)
    one.working_mib, one.pushed = 90, []
    known: dict[VmId, Feedback] = {VmId(0): Feedback(one.refaults, 0.0)}
    one.live(EVERY_S)
    figures = [one.figures()]
    made = plan_steps(figures, known, (SHORT, CALM), MARKS, EVERY_S)
    assert made.steps == ()
    assert one.resident_mib >= 89


@pytest.mark.parametrize(("available_mib", "round_mib"), [(3000, 512), (1000, 1024), (400, 1024)])
def test_a_round_grows_with_the_want_of_memory(available_mib: int, round_mib: int) -> None:
    many = [guest(number, mib=400) for number in range(200)]
    made = planned(*many, memory=replace(SHORT, available_mib=available_mib))
    assert sum(step.mib for step in made.steps) == round_mib


@pytest.mark.parametrize(
    ("available_mib", "wanted"),
    [(4000, HostNeed.NONE), (3999, HostNeed.SHORT), (999, HostNeed.SQUEEZED)],
)
def test_what_machines_are_asked_for(available_mib: int, wanted: HostNeed) -> None:
    assert need(replace(SHORT, available_mib=available_mib), MARKS) is wanted
