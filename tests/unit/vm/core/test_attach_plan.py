import pytest

from qvdnode.model.vm_state import DisplayState as D
from qvdnode.model.vm_state import VmState as S
from qvdnode.vm.core.attach_plan import Move, next_move


@pytest.mark.parametrize("state", [S.STOPPED, S.FAILED])
def test_a_vm_that_rests_is_started(state: S) -> None:
    assert next_move(state, D.OFF, seated=False, busy=False, fits=True) is Move.START


@pytest.mark.parametrize("state", sorted(set(S) - {S.STOPPED, S.FAILED, S.RUNNING, S.HIBERNATED}))
@pytest.mark.parametrize("seated", [True, False])
def test_a_vm_on_its_way_is_waited_for(state: S, seated: bool) -> None:
    assert next_move(state, D.SUSPENDED, seated=seated, busy=False, fits=True) is Move.WAIT


@pytest.mark.parametrize("display", D)
def test_the_newest_connection_wins(display: D) -> None:
    assert next_move(S.RUNNING, display, seated=True, busy=False, fits=True) is Move.EVICT


@pytest.mark.parametrize(
    ("display", "move"),
    [
        (D.LISTENING, Move.SEAT),
        (D.SUSPENDED, Move.RESUME),
        (D.STARTING, Move.WAIT),
        (D.CONNECTED, Move.WAIT),
        (D.SUSPENDING, Move.WAIT),
        (D.STOPPING, Move.WAIT),
        (D.OFF, Move.START_DISPLAY),
    ],
)
def test_a_running_vm_is_taken_as_its_display_is(display: D, move: Move) -> None:
    assert next_move(S.RUNNING, display, seated=False, busy=False, fits=True) is move


@pytest.mark.parametrize("display", D)
def test_a_resume_under_way_is_not_sent_twice(display: D) -> None:
    assert next_move(S.RUNNING, display, seated=False, busy=True, fits=True) is Move.WAIT


@pytest.mark.parametrize("display", D)
def test_only_a_listening_display_matters_that_fits_somebody_else(display: D) -> None:
    fitting = next_move(S.RUNNING, display, seated=False, busy=False, fits=True)
    move = next_move(S.RUNNING, display, seated=False, busy=False, fits=False)
    assert move is (Move.DISMISS if fitting is Move.SEAT else fitting)


@pytest.mark.parametrize("display", D)
def test_a_hibernated_guest_is_woken_whatever_its_display_did(display: D) -> None:
    move = next_move(S.HIBERNATED, display, seated=False, busy=False, fits=False)
    assert move is Move.WAKE
