import pytest

from qvdnode.model.vm_state import DisplayState as S
from qvdnode.vm.core.display import TRANSITIONS, replay, step
from qvdnode.vm.core.display import DisplayEvent as E


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(S)


@pytest.mark.parametrize("state", sorted(set(S) - {S.OFF}))
def test_a_dead_display_is_off_wherever_it_dies(state: S) -> None:
    assert step(state, E.GONE) is S.OFF


@pytest.mark.parametrize("state", sorted(set(S) - {S.SUSPENDED}))
def test_the_toggle_is_sent_to_a_suspended_display_only(state: S) -> None:
    assert step(state, E.RESUME_ASKED) is None


def test_the_day_of_a_display() -> None:
    state = S.OFF
    seen = []
    for event in [E.START_ASKED, E.BEGINS, E.LISTENS, E.CONNECTED, E.SUSPENDS, E.SUSPENDED,
                  E.RESUME_ASKED, E.LISTENS, E.CONNECTED, E.ENDS, E.GONE]:  # fmt: skip
        state = step(state, event) or state
        seen.append(state)
    assert seen == [S.STARTING, S.STARTING, S.LISTENING, S.CONNECTED, S.SUSPENDING, S.SUSPENDED,
                    S.STARTING, S.LISTENING, S.CONNECTED, S.STOPPING, S.OFF]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([], (S.OFF, False)),
        ([E.BEGINS], (S.STARTING, False)),
        ([E.BEGINS, E.LISTENS], (S.LISTENING, False)),
        ([E.BEGINS, E.LISTENS, E.CONNECTED], (S.CONNECTED, True)),
        ([E.BEGINS, E.LISTENS, E.CONNECTED, E.SUSPENDS, E.SUSPENDED], (S.SUSPENDED, True)),
        ([E.BEGINS, E.LISTENS, E.ENDS, E.GONE], (S.OFF, False)),
        ([E.SUSPENDED], (S.SUSPENDED, True)),
        ([E.BEGINS, E.GONE, E.BEGINS, E.LISTENS], (S.LISTENING, False)),
        ([E.ENDS], (S.OFF, False)),
    ],
)
def test_an_adopted_display_is_known_by_its_log(events: list[E], found: tuple[S, bool]) -> None:
    assert replay(events) == found
