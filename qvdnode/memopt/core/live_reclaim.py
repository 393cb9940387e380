"""Decides how much memory of desktops that run is pushed to swap, in small steps. Pure.

A desktop whose user only looks at it keeps pages that it used once, at its start. The kernel knows
which pages of a guest were not used for longest; how many of them can go is found by trying.

Rule 1: nothing is pushed while enough memory is available, or without room in swap.
Rule 2: one step takes a small share of a guest's memory, and there is a pause before the next one.
Rule 3: a guest that reads back what was pushed (refaults) is left alone for a while, which doubles
each time, and its steps get smaller: it has come down to what it uses.
Rule 4: while programs of the host wait for memory (PSI), nothing is pushed: that would cost more
time. A squeeze is the exception, since what comes after it is worse.
Rule 5: a guest that is busy, that has just been started, or has come down to a floor is left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from qvdnode.memopt.core.figures import MIB, GuestFigures
from qvdnode.memopt.core.hibernation import COMPRESSED, SWAP_RESERVE_MIB, Marks
from qvdnode.memopt.core.meminfo import HostMemory, Pressure
from qvdnode.model.guest import HostNeed
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState

STEP_SHARE: Final = 0.1
STEP_MIN_MIB: Final = 1
STEP_MAX_MIB: Final = 16
ROUND_MIB: Final = 256
"""In one round, which takes the kernel a quarter of a second."""
SQUEEZE_ROUND_MIB: Final = 1024
"""In one round when memory is about to run out; between the two marks it is in proportion, so that
desktops that start one after the other do not take memory faster than others give it."""
FLOOR_MIB: Final = 8
"""No step leaves a guest less than this of the memory that only swap can take."""
FLOOR_SHARE: Final = 0.1
"""Nor less than this part of what it has with what is in swap."""
PAUSE_S: Final = 10.0
PAUSE_MAX_S: Final = 640.0
REFAULTS_PER_S: Final = 40.0
"""Pages that a guest reads back in a second, beyond which it is short of them: some 0.5 ms of each
second are lost."""
PRESSURE_MAX_PCT: Final = 5.0
ENOUGH: Final = "enough memory is available"
NO_ROOM: Final = "there is no room in swap"
WAITING: Final = "programs wait for memory"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What is remembered of one guest."""

    refaults: int
    """By the last measurement."""
    at_s: float
    pause_s: float = PAUSE_S
    next_s: float = 0.0
    """When the next step may be taken."""
    tried: bool = False
    """Whether a step was taken since the last pause for refaults began."""


@dataclass(frozen=True, slots=True)
class Step:
    """So much of that guest's memory is to be pushed."""

    vm_id: VmId
    mib: int


@dataclass(frozen=True, slots=True)
class LivePlan:
    """What to do now, what to remember, and why so much or so little."""

    steps: tuple[Step, ...]
    memory: Mapping[VmId, Feedback]
    why: str


def plan_steps(
    guests: Sequence[GuestFigures],
    before: Mapping[VmId, Feedback],
    host: tuple[HostMemory, Pressure],
    marks: Marks,
    now_s: float,
) -> LivePlan:
    """The steps of this round; guests that are idle come first."""
    known = {guest.vm_id: _observed(guest, before.get(guest.vm_id), now_s) for guest in guests}
    memory, pressure = host
    if memory.available_mib >= marks.warm_mib:
        return LivePlan((), known, ENOUGH)
    swap_mib = memory.swap_free_mib - SWAP_RESERVE_MIB
    if swap_mib <= 0:
        return LivePlan((), known, NO_ROOM)
    squeezed = memory.available_mib < marks.squeeze_mib
    if pressure.some_pct > PRESSURE_MAX_PCT and not squeezed:
        return LivePlan((), known, f"{WAITING} {pressure.some_pct:.0f} % of the time")
    missing_mib = marks.warm_mib - memory.available_mib
    # Of what is pushed to compressed swap, a part stays.
    of_missing_mib = missing_mib * COMPRESSED // (COMPRESSED - 1)
    budget_mib = min(_round_mib(memory, marks), swap_mib, of_missing_mib)
    steps: list[Step] = []
    for guest in sorted(guests, key=lambda one: (one.cpu_pct, -one.memory.anon_bytes)):
        mib = _step_mib(guest, known[guest.vm_id], marks, now_s)
        if 0 < mib <= budget_mib:
            steps.append(Step(guest.vm_id, mib))
            budget_mib -= mib
            known[guest.vm_id] = replace(
                known[guest.vm_id], next_s=now_s + known[guest.vm_id].pause_s, tried=True
            )
    return LivePlan(tuple(steps), known, f"only {memory.available_mib} MiB are available")


def need(memory: HostMemory, marks: Marks) -> HostNeed:
    """How much the host needs memory back, for guests that can be asked for it."""
    if memory.available_mib >= marks.warm_mib:
        return HostNeed.NONE
    return HostNeed.SQUEEZED if memory.available_mib < marks.squeeze_mib else HostNeed.SHORT


def _round_mib(memory: HostMemory, marks: Marks) -> int:
    """How much may be pushed in one round, by how near the squeeze is."""
    span_mib = marks.warm_mib - marks.squeeze_mib
    short_mib = min(marks.warm_mib - memory.available_mib, span_mib)
    return ROUND_MIB + (SQUEEZE_ROUND_MIB - ROUND_MIB) * short_mib // max(span_mib, 1)


def _observed(guest: GuestFigures, last: Feedback | None, now_s: float) -> Feedback:
    """The guest's feedback with what happened since the last measurement."""
    refaults = guest.memory.refaults
    if last is None or refaults < last.refaults or now_s <= last.at_s:
        return Feedback(refaults, now_s)
    rate = (refaults - last.refaults) / (now_s - last.at_s)
    seen = replace(last, refaults=refaults, at_s=now_s)
    if rate > REFAULTS_PER_S:
        pause_s = min(last.pause_s * 2, PAUSE_MAX_S)
        return replace(seen, pause_s=pause_s, next_s=now_s + pause_s, tried=False)
    if last.tried and now_s >= last.next_s:  # nothing of the last step was read back
        return replace(seen, pause_s=max(last.pause_s / 2, PAUSE_S))
    return seen


def _step_mib(guest: GuestFigures, feedback: Feedback, marks: Marks, now_s: float) -> int:
    """How much of it may be pushed now."""
    if guest.state is not VmState.RUNNING or guest.is_young or now_s < feedback.next_s:
        return 0
    if guest.cpu_pct > marks.busy_pct:
        return 0
    anon = guest.memory.anon_bytes / MIB
    floor = max(FLOOR_MIB, FLOOR_SHARE * (anon + guest.memory.swapped_bytes / MIB))
    # Who had to be left alone goes on more carefully.
    share = STEP_SHARE * PAUSE_S / feedback.pause_s
    wanted = max(STEP_MIN_MIB, min(STEP_MAX_MIB, anon * share))
    return int(min(wanted, anon - floor)) if anon - floor >= STEP_MIN_MIB else 0
