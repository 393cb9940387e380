"""Rollouts: states, selectors, gates and expiry, in virtual time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.errors import Conflict, Invalid
from qvdnode.model.ids import VmId
from qvdnode.model.rollout import (
    ACTIVE,
    HOLDING,
    TRANSITIONS,
    Ending,
    Evidence,
    Expiry,
    Gate,
    Member,
    Rollout,
    RolloutEvent,
    RolloutState,
    Stage,
    breach_of,
    check,
    ending_of,
    next_event,
    selects,
    step,
    waits_for,
)

STAGES = (Stage("tag:pilot", 60), Stage("10%", 600), Stage("100%", 3600))
ROLLOUT = Rollout(7, 3, 4, STAGES, Gate(), Expiry(), RolloutState.RUNNING, 0)
ALICE = Member(VmId(1), "alice@acme", frozenset({"pilot"}), "node1")
GOOD = Evidence(started=5, ready=5, ready_p95_s=4.0)


def test_every_state_has_its_row_and_only_people_leave_a_rollback() -> None:
    assert set(TRANSITIONS) == set(RolloutState)
    by_itself = {RolloutEvent.SOAKED, RolloutEvent.FINISHED, RolloutEvent.BREACHED}
    assert not by_itself & TRANSITIONS[RolloutState.ROLLED_BACK].keys()
    assert step(RolloutState.ROLLED_BACK, RolloutEvent.RESUME) is RolloutState.RUNNING
    with pytest.raises(Conflict, match="is done: it cannot pause"):
        step(RolloutState.DONE, RolloutEvent.PAUSE)
    assert ACTIVE < HOLDING


def run(rollout: Rollout, evidence: Evidence, limit_s: int = 10_000) -> tuple[Rollout, int]:
    """Let time pass in steps of 10 s until nothing more happens by itself."""
    now, since = 0, 0
    while now < limit_s and rollout.state is RolloutState.RUNNING:
        found = next_event(rollout, evidence, now - since)
        if found is None:
            now += 10
            continue
        stage = rollout.stage + (found[0] is RolloutEvent.SOAKED)
        rollout = replace(rollout, state=step(rollout.state, found[0]), stage=stage)
        since = now
    return rollout, now


def test_a_sound_version_reaches_everybody_after_all_stages_have_soaked() -> None:
    done, at_s = run(ROLLOUT, GOOD)
    assert (done.state, done.stage, at_s) == (RolloutState.DONE, 2, 60 + 600 + 3600)


def test_a_stage_without_starts_does_not_end() -> None:
    stuck, _ = run(ROLLOUT, Evidence())
    assert (stuck.state, stuck.stage) == (RolloutState.RUNNING, 0)
    assert waits_for(stuck, Evidence(), 61.0) == "1 more sound starts with version 4"
    assert waits_for(stuck, Evidence(), 58.5) == "2 s until the stage has soaked"
    assert waits_for(stuck, GOOD, 61.0) is None


def test_a_breach_rolls_back_at_once_also_a_paused_one() -> None:
    bad = Evidence(started=4, ready=3, failed=1)
    back, at_s = run(ROLLOUT, bad)
    assert (back.state, at_s) == (RolloutState.ROLLED_BACK, 0)
    paused = replace(ROLLOUT, state=RolloutState.PAUSED)
    assert next_event(paused, bad, 0.0) == (RolloutEvent.BREACHED, "1 of 4 starts failed")
    assert next_event(paused, GOOD, 1e6) is None
    assert next_event(back, GOOD, 1e6) is None


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (GOOD, None),
        (Evidence(), None),
        (Evidence(started=2, ready=1, failed=1), None),  # too few to tell
        (Evidence(started=5, ready=4, failed=1), None),
        (Evidence(started=5, ready=3, failed=2), "2 of 5 starts failed"),
        (Evidence(started=5, ready=5, crashed=2), "2 of 5 desktops ended by an error"),
        (Evidence(ready=5, ready_p95_s=31.0), "starts took 31.0 s (95 %), and at most 30 s"),
    ],
)
def test_the_gate_is_breached_by_failures_crashes_and_slow_starts(
    evidence: Evidence, told: str | None
) -> None:
    found = breach_of(Gate(starts_min=3, ready_max_s=30), evidence)
    assert found == told or (told is not None and found is not None and found.startswith(told))


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("user:alice@acme", True),
        ("user:alice@other", False),
        ("tag:pilot", True),
        ("tag:pil", False),
        ("host:node1", True),
        ("host:node2", False),
        ("100%", True),
    ],
)
def test_selectors_name_desktops(selector: str, selected: bool) -> None:
    assert selects(selector, ALICE, 7) is selected


@given(st.integers(1, 2**31), st.integers(1, 2**31), st.integers(0, 100), st.integers(0, 100))
def test_a_greater_share_only_adds_desktops(
    rollout_id: int, vm_id: int, one: int, other: int
) -> None:
    member = Member(VmId(vm_id), "x@y")
    low, high = sorted((one, other))
    if selects(f"{low}%", member, rollout_id):
        assert selects(f"{high}%", member, rollout_id)


def test_a_share_is_about_as_large_as_it_says() -> None:
    chosen = sum(selects("10%", Member(VmId(number), "x"), 3) for number in range(2_000))
    assert 150 < chosen < 250


def test_who_is_covered_gets_the_new_version_while_it_goes_on() -> None:
    other = Member(VmId(2), "bob@acme")
    assert ROLLOUT.version_of(ALICE, 3) == 4
    assert ROLLOUT.version_of(other, 3) == 3
    assert replace(ROLLOUT, stage=2).version_of(other, 3) == 4
    for state in set(RolloutState) - ACTIVE:
        assert replace(ROLLOUT, state=state).version_of(ALICE, 3) == 3


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ((), "1 to 20 stages"),
        ((Stage("5%", 1),), "must be 100%"),
        ((Stage("tag:x", 1),), "must be 100%"),
        ((Stage("some", 1), STAGES[2]), "names no desktops"),
        ((Stage("0%", 1), STAGES[2]), "is not a share"),
        ((Stage("101%", 1), STAGES[2]), "is not a share"),
        ((Stage("100%", -1),), "soaks for"),
    ],
)
def test_stages_that_make_no_sense_are_refused(stages: tuple[Stage, ...], told: str) -> None:
    with pytest.raises(Invalid, match=told):
        check(stages)
    check(STAGES)


@pytest.mark.parametrize(
    ("stale_s", "in_use", "ending"),
    [
        (10.0, False, None),
        (60.0, False, Ending.UNUSED),
        (60.0, True, None),
        (3600.0, True, Ending.OVERDUE),
        (3600.0, False, Ending.OVERDUE),
    ],
)
def test_desktops_on_the_other_version_expire(
    stale_s: float, in_use: bool, ending: Ending | None
) -> None:
    assert ending_of(Expiry(soft_s=60, hard_s=3600), stale_s, in_use=in_use) is ending
    assert ending_of(Expiry(), stale_s, in_use=in_use) is None
