import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.vm_state import DisplayState
from qvdnode.vm.core.display import SHOWN_AS, TRANSITIONS, replay, step
from qvdnode.vm.core.display import DisplayEvent as E
from qvdnode.vm.core.display import DisplayPhase as P

NOT_RUNNING = {P.OFF, P.UNREAD, P.GIVEN_UP}


def test_every_phase_has_a_row_and_is_shown() -> None:
    assert set(TRANSITIONS) == set(SHOWN_AS) == set(P)
    assert set(SHOWN_AS.values()) == set(DisplayState)


@pytest.mark.parametrize("event", E)
def test_every_event_means_something_somewhere(event: E) -> None:
    assert any(event in row for row in TRANSITIONS.values())


@pytest.mark.parametrize("phase", sorted(set(P) - NOT_RUNNING))
def test_a_dead_display_is_off_wherever_it_dies(phase: P) -> None:
    assert step(phase, E.GONE) is P.OFF


def test_sighup_is_sent_to_a_display_that_was_suspended_until_then() -> None:
    into_toggled = {(p, e) for p, row in TRANSITIONS.items() for e, t in row.items()
                    if t is P.TOGGLED}  # fmt: skip
    assert into_toggled == {(P.PREPARING, E.PREPARED)}
    suspended = {p for p in P if SHOWN_AS[p] is DisplayState.SUSPENDED}
    into_preparing = {p for p, row in TRANSITIONS.items() if P.PREPARING in row.values()}
    into_queued = {p for p, row in TRANSITIONS.items() if P.QUEUED in row.values()}
    assert into_preparing | into_queued <= suspended


@given(st.lists(st.sampled_from(E)))
def test_between_a_client_and_a_sighup_the_display_was_suspended(events: list[E]) -> None:
    phase, suspended = P.OFF, False
    for event in events:
        target = step(phase, event)
        if target is None:
            continue
        phase = target
        if event in {E.SUSPENDED, E.RESUME_FAILED}:
            suspended = True
        elif phase not in {P.SUSPENDED, P.QUEUED, P.PREPARING, P.TOGGLED}:
            suspended = False
        assert suspended or phase is not P.TOGGLED


def test_the_day_of_a_display() -> None:
    phase = P.OFF
    seen = []
    for event in [E.START_ASKED, E.BEGINS, E.LISTENS, E.CONNECTED, E.SUSPENDS, E.SUSPENDED,
                  E.RESUME_ASKED, E.SLOT_GIVEN, E.PREPARED, E.BEGINS, E.LISTENS, E.CONNECTED,
                  E.ENDS, E.GONE]:  # fmt: skip
        phase = step(phase, event) or phase
        seen.append(phase)
    assert seen == [P.STARTING, P.STARTING, P.LISTENING, P.CONNECTED, P.SUSPENDING, P.SUSPENDED,
                    P.QUEUED, P.PREPARING, P.TOGGLED, P.STARTING, P.LISTENING, P.CONNECTED,
                    P.STOPPING, P.OFF]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ((), (P.OFF, False)),
        ((E.BEGINS,), (P.STARTING, False)),
        ((E.BEGINS, E.LISTENS), (P.LISTENING, False)),
        ((E.BEGINS, E.LISTENS, E.CONNECTED), (P.CONNECTED, True)),
        ((E.BEGINS, E.LISTENS, E.CONNECTED, E.SUSPENDS, E.SUSPENDED), (P.SUSPENDED, True)),
        ((E.BEGINS, E.LISTENS, E.ENDS, E.GONE), (P.OFF, False)),
        ((E.SUSPENDED,), (P.SUSPENDED, True)),
        ((E.BEGINS, E.GONE, E.BEGINS, E.LISTENS), (P.LISTENING, False)),
        ((E.ENDS,), (P.OFF, False)),
    ],
)
def test_an_adopted_display_is_known_by_its_log(
    events: tuple[E, ...], found: tuple[P, bool]
) -> None:
    assert replay(events) == found
