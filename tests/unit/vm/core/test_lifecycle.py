from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.vm_state import VmState as S
from qvdnode.vm.core.lifecycle import ON_ENTRY, ON_EXIT, TRANSITIONS, Action, step
from qvdnode.vm.core.lifecycle import GuestEvent as E

RESTING = {S.STOPPED, S.FAILED}


def reachable(start: S) -> set[S]:
    found, todo = {start}, [start]
    while todo:
        for target in TRANSITIONS[todo.pop()].values():
            if target not in found:
                found.add(target)
                todo.append(target)
    return found


def walk(events: list[E], state: S = S.STOPPED) -> Iterator[tuple[S, E, S, tuple[Action, ...]]]:
    for event in events:
        moved = step(state, event)
        if moved is not None:
            yield state, event, *moved
            state = moved[0]


def test_every_state_has_a_row_and_actions() -> None:
    assert set(TRANSITIONS) == set(ON_ENTRY) == set(S)


@pytest.mark.parametrize("state", S)
def test_every_state_can_be_come_to_and_left_for_stopped(state: S) -> None:
    assert state in reachable(S.STOPPED)
    assert S.STOPPED in reachable(state)


@pytest.mark.parametrize("event", E)
def test_every_event_means_something_somewhere(event: E) -> None:
    assert any(event in row for row in TRANSITIONS.values())


@pytest.mark.parametrize("effect", Action)
def test_every_action_is_taken_somewhere(effect: Action) -> None:
    taken = (*ON_ENTRY.values(), *ON_EXIT.values())
    assert any(effect in effects for effects in taken)


def test_nothing_is_cleaned_while_a_process_may_run() -> None:
    entries = {s for s, row in TRANSITIONS.items() for t in row.values() if t is S.CLEANING}
    assert entries == {S.KILLING}


def test_the_row_is_given_up_only_after_cleaning_or_a_failure_dismissed() -> None:
    giving_up = {s for s, effects in ON_ENTRY.items() if Action.RELEASE in effects}
    assert giving_up == RESTING
    before = {s for s, row in TRANSITIONS.items() for t in row.values() if t in RESTING}
    assert before <= {S.CLEANING, S.FAILED}


@pytest.mark.parametrize("state", sorted(set(S) - RESTING - {S.KILLING, S.CLEANING}))
def test_a_lost_lease_kills_wherever_a_guest_may_run(state: S) -> None:
    moved = step(state, E.LEASE_LOST)
    assert moved is not None
    assert moved[0] is S.KILLING


@pytest.mark.parametrize("state", [S.PREPARING, S.BOOTING, S.RUNNING, S.HIBERNATED])
def test_a_stop_is_heard_in_every_state_of_a_live_guest(state: S) -> None:
    moved = step(state, E.STOP_ASKED)
    assert moved is not None
    assert moved[0] in {S.STOPPING, S.KILLING}
    assert Action.CANCEL_BRING_UP in moved[1]


@pytest.mark.parametrize("event", TRANSITIONS[S.HIBERNATED])
def test_whatever_ends_a_hibernation_thaws_the_guest_first(event: E) -> None:
    moved = step(S.HIBERNATED, event)
    assert moved is not None
    assert moved[1][0] is Action.THAW


def test_every_event_of_a_running_guest_is_heard_by_a_hibernated_one() -> None:
    assert set(TRANSITIONS[S.RUNNING]) - set(TRANSITIONS[S.HIBERNATED]) == {E.HIBERNATE_ASKED}


def test_the_life_of_a_desktop() -> None:
    events = [E.START_ASKED, E.LAUNCHED, E.DISPLAY_LISTENS, E.STOP_ASKED, E.EXITED,
              E.NOTHING_LEFT, E.CLEANED]  # fmt: skip
    states = [target for _, _, target, _ in walk(events)]
    assert states == [S.PREPARING, S.BOOTING, S.RUNNING, S.STOPPING, S.KILLING, S.CLEANING,
                      S.STOPPED]  # fmt: skip


def test_an_event_without_a_row_is_ignored() -> None:
    assert step(S.STOPPED, E.EXITED) is None


@given(st.lists(st.sampled_from(E)))
def test_no_order_of_events_skips_the_cleaning(events: list[E]) -> None:
    """Between one bring-up and the next everything was killed and cleaned."""
    dirty = False
    for _, _, target, effects in walk(events):
        if Action.BRING_UP in effects:
            assert not dirty
            dirty = True
        if target is S.CLEANING:
            dirty = False
