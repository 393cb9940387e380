"""The relay's table: every stream ends, once, with a reason."""

import itertools

import pytest

from qvdnode.proxy.core.relay_state import (
    REASON_OF,
    TRANSITIONS,
    RelayEvent,
    RelayState,
    reason,
    step,
)

E, S = RelayEvent, RelayState


def test_the_usual_life() -> None:
    state = S.GREETING
    for event in (E.GREETED, E.DIALLED, E.CLIENT_EOF, E.GUEST_EOF):
        after = step(state, event)
        assert after is not None
        state = after
    assert state is S.ENDED


@pytest.mark.parametrize("event", RelayEvent)
def test_nothing_happens_after_the_end(event: RelayEvent) -> None:
    assert step(S.ENDED, event) is None


@pytest.mark.parametrize("state", [state for state in RelayState if state is not S.ENDED])
@pytest.mark.parametrize("event", [E.EVICTED, E.CLIENT_LOST, E.GUEST_LOST])
def test_any_end_that_is_lost_or_evicted_ends_it(state: RelayState, event: RelayEvent) -> None:
    assert step(state, event) is S.ENDED


@pytest.mark.parametrize("state", [S.GREETING, S.DIALLING, S.CLIENT_DONE, S.GUEST_DONE])
def test_every_state_that_waits_has_a_limit(state: RelayState) -> None:
    assert step(state, E.TIME_UP) is S.ENDED


def test_copying_has_none() -> None:
    assert step(S.COPYING, E.TIME_UP) is None


def test_every_way_to_the_end_has_a_reason() -> None:
    for state, event in itertools.product(RelayState, RelayEvent):
        if TRANSITIONS[state].get(event) is S.ENDED:
            assert reason(state, event)


def test_no_guest_is_dialled_before_the_greeting() -> None:
    assert [state for state in RelayState if S.DIALLING in TRANSITIONS[state].values()] == [
        S.GREETING
    ]


def test_reasons_tell_the_two_ends_apart() -> None:
    assert reason(S.COPYING, E.CLIENT_LOST) != reason(S.COPYING, E.GUEST_LOST)
    assert reason(S.GUEST_DONE, E.CLIENT_LOST) == "the desktop closed its display"
    assert set(REASON_OF) <= set(RelayEvent)
