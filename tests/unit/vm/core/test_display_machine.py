"""One display: what it asks the shell for, and what it reports to the core of its VM."""

# long: it has to cover its module whole, by itself

from collections.abc import Sequence
from dataclasses import replace

import pytest

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError, GuestFailed, HostFailed
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.vm.core import effects as e
from qvdnode.vm.core import messages as m
from qvdnode.vm.core import sentences
from qvdnode.vm.core.display import DisplayEvent as E
from qvdnode.vm.core.display import DisplayPhase as P
from qvdnode.vm.core.display_machine import (
    HANGUP_S,
    HANGUPS_MAX,
    PATIENCE_S,
    REDRAW_S,
    Display,
)
from qvdnode.vm.core.outcomes import (
    Announced,
    Ended,
    Listens,
    NotWhole,
    Prepared,
    Refused,
    Situation,
    StartFailed,
    Suspended,
)
from qvdnode.vm.core.timers import Timers

PARAMS = DisplayParams(geometry="1x1")
OTHER = DisplayParams(geometry="2x2")
NOW = Situation(7, VmState.RUNNING, PARAMS, 1000.0)
BOOTING = replace(NOW, guest=VmState.BOOTING)
ERROR = HostFailed("no way")
LATER = replace(NOW, params=OTHER)


def display(phase: P = P.OFF, *, tries_max: int = 3) -> Display:
    return Display(tries_max, Timers(), phase)


def hear(display: Display, *events: E, now: Situation = NOW) -> list[object]:
    return [result for event in events for result in display.hear(event, now)]


def listening() -> Display:
    """Started for PARAMS; no client yet."""
    made = display()
    made.start(NOW)
    made.handle(m.StartScriptEnded(1, 1, PARAMS, ran_already=False), NOW)
    hear(made, E.BEGINS, E.LISTENS)
    return made


def connected() -> Display:
    made = listening()
    hear(made, E.CONNECTED)
    return made


def suspended() -> Display:
    made = connected()
    hear(made, E.SUSPENDS, E.SUSPENDED)
    return made


def preparing() -> Display:
    made = suspended()
    made.resume(NOW)
    made.handle(m.RedrawSlotGiven(1, made.slot_serial), NOW)
    return made


def toggled() -> Display:
    made = preparing()
    made.handle(m.ResumePrepared(1, PARAMS), NOW)
    return made


def only(results: Sequence[object], *kinds: type) -> list[object]:
    return [result for result in results if isinstance(result, kinds)]


# -- start -----------------------------------------------------------------------------------------


def test_a_fresh_display_is_started_once_its_log_is_read() -> None:
    made = display()
    results = made.handle(m.LogFollowed(1, ()), BOOTING)
    assert only(results, e.RunStart, Announced) == [
        e.RunStart(1, PARAMS),
        Announced(sentences.SESSION_COMES_UP.format(vm_id=7)),
    ]
    assert (made.phase, made.busy) == (P.STARTING, True)


def test_it_listens_for_whom_it_was_started() -> None:
    made = display()
    made.start(NOW)
    assert Listens() in hear(made, E.BEGINS, E.LISTENS)
    assert made.busy, "its script has not ended"
    made.handle(m.StartScriptEnded(1, 1, PARAMS, ran_already=False), NOW)
    assert (made.busy, made.ready_for) == (False, PARAMS)


def test_one_that_ran_already_may_be_ready_for_anybody() -> None:
    made = display()
    made.start(NOW)
    made.handle(m.StartScriptEnded(1, 1, PARAMS, ran_already=True), NOW)
    assert made.ready_for is None


def test_a_log_that_cannot_be_read_fails_a_start() -> None:
    assert display().handle(m.LogNotFollowed(1, ERROR, gone=False), BOOTING) == [StartFailed(ERROR)]


@pytest.mark.parametrize("guest", [VmState.BOOTING, VmState.RUNNING])
def test_a_start_script_that_fails_loses_the_desktop(guest: VmState) -> None:
    made, now = display(), replace(NOW, guest=guest)
    made.start(now)
    results = made.handle(m.DisplayTaskFailed(1, "start", ERROR), now)
    assert Ended(ERROR) in results
    assert e.LogLostDesktop("no way") in results
    assert made.phase is P.GIVEN_UP


def test_a_start_script_that_fails_although_the_display_listens_is_refused() -> None:
    made = display()
    made.start(NOW)
    hear(made, E.BEGINS, E.LISTENS)
    assert Refused(ERROR) in made.handle(m.DisplayTaskFailed(1, "start", ERROR), NOW)


# -- adoption --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "phase"), [((E.SUSPENDED,), P.SUSPENDED), ((E.BEGINS, E.LISTENS), P.LISTENING)]
)
def test_an_adopted_display_is_what_its_log_says(history: tuple[E, ...], phase: P) -> None:
    made = display(P.UNREAD)
    assert made.shown is DisplayState.STARTING
    assert made.handle(m.LogFollowed(1, history), NOW) == [e.FindProcess(0)]
    assert made.phase is phase


def test_an_adopted_guest_whose_desktop_ended_meanwhile_ends() -> None:
    history = (E.BEGINS, E.LISTENS, E.CONNECTED, E.ENDS, E.GONE)
    assert display(P.UNREAD).handle(m.LogFollowed(1, history), NOW) == [Ended(None)]


@pytest.mark.parametrize("history", [(), (E.BEGINS, E.LISTENS, E.ENDS, E.GONE)])
def test_an_adopted_guest_without_a_client_yet_is_prepared(history: tuple[E, ...]) -> None:
    made = display(P.UNREAD)
    assert made.handle(m.LogFollowed(1, history), NOW) == []
    assert (made.phase, made.busy) == (P.OFF, False)


def test_a_guest_for_which_nobody_waits_is_prepared() -> None:
    made = display()
    assert made.handle(m.LogFollowed(1, ()), replace(BOOTING, wanted=False)) == [Prepared()]
    assert made.phase is P.OFF


def test_a_display_that_nobody_wants_any_more_rests() -> None:
    made = listening()
    results = hear(made, E.ENDS, E.GONE, now=replace(NOW, wanted=False))
    assert e.Log(e.Level.INFO, "display_gave_up_waiting", {}) in results
    assert made.phase is P.OFF


@pytest.mark.parametrize("code", [127, 0])
def test_a_young_desktop_that_ends_with_an_exit_code_has_failed(code: int) -> None:
    made = connected()
    made.watched = 42
    hear(made, E.ENDS)
    results = made.handle(m.DisplayProcessGone(1, 42, code), NOW)
    [ended] = [result for result in results if isinstance(result, Ended)]
    said = None if ended.error is None else str(ended.error)
    assert said == (sentences.PROGRAM_MISSING.format(code=code) if code else None)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_missing_program_is_told_though_the_display_tells_of_no_client(wanted: bool) -> None:
    made = listening()
    made.desktop_exit = 127
    results = hear(made, E.ENDS, E.GONE, now=replace(NOW, wanted=wanted))
    [ended] = [result for result in results if isinstance(result, Ended)]
    assert str(ended.error) == sentences.PROGRAM_MISSING.format(code=127)


def test_another_exit_code_before_the_first_client_has_the_display_started_again() -> None:
    made = listening()
    made.desktop_exit = 1  # perhaps since its display went away
    assert e.RunStart(2, PARAMS) in hear(made, E.ENDS, E.GONE)
    assert made.desktop_exit is None


def test_an_exit_code_says_nothing_of_a_desktop_that_was_adopted() -> None:
    made = display(P.UNREAD)
    made.handle(m.LogFollowed(1, (E.BEGINS, E.LISTENS, E.CONNECTED)), NOW)
    made.desktop_exit = 127
    assert Ended(None) in hear(made, E.ENDS, E.GONE)


def test_an_adopted_display_whose_log_cannot_be_read_now_is_tried_again_more_and_more_slowly() -> (
    None
):
    made = display(P.UNREAD)
    pauses = []
    for _ in range(9):
        note, armed = made.handle(m.LogNotFollowed(1, ERROR, gone=False), NOW)
        assert note == e.NoteRetry("display", ERROR)
        assert isinstance(armed, e.ArmTimer)
        pauses.append(armed.seconds)
        assert made.timer_fired(e.Timer.FOLLOW) == [e.FollowLog()]
    assert pauses[:3] == [0.1, 0.2, 0.4]
    assert pauses[-1] == 10.0
    made.handle(m.LogFollowed(1, (E.SUSPENDED,)), NOW)
    assert made.timer_fired(e.Timer.FOLLOW) == []


def test_an_adopted_guest_without_its_log_is_not_whole() -> None:
    results = display(P.UNREAD).handle(m.LogNotFollowed(1, ERROR, gone=True), NOW)
    assert NotWhole(ERROR) in results


# -- its process -----------------------------------------------------------------------------------


def test_its_process_is_watched_once_and_its_end_is_the_displays() -> None:
    made = connected()
    assert e.WatchProcess(42) in made.handle(m.ProcessFound(1, made.run, 42), NOW)
    assert made.handle(m.ProcessFound(1, made.run, 42), NOW) == []
    assert made.handle(m.DisplayProcessGone(1, 41), NOW) == []
    results = made.handle(m.DisplayProcessGone(1, 42), NOW)
    [ended] = only(results, Ended)
    assert isinstance(ended, Ended)
    assert str(ended.error) == sentences.CRASHED
    assert made.watched is None
    assert made.handle(m.DisplayProcessGone(1, 42), NOW) == []


def test_a_pid_that_was_read_for_an_earlier_run_is_not_watched() -> None:
    made = listening()
    assert made.handle(m.ProcessFound(1, made.run - 1, 42), NOW) == []
    made = display()
    assert made.handle(m.ProcessFound(1, 0, 42), NOW) == []


def test_the_pid_of_a_display_that_starts_is_looked_for_until_it_is_known() -> None:
    made = display()
    made.start(NOW)
    results = made.handle(m.StartScriptEnded(1, 1, PARAMS, ran_already=False), NOW)
    assert [type(result) for result in results] == [e.FindProcess, e.ArmTimer]
    assert [type(result) for result in made.timer_fired(e.Timer.PROCESS)] == [
        e.FindProcess,
        e.ArmTimer,
    ]
    made.handle(m.ProcessFound(1, 1, 42), NOW)
    assert made.timer_fired(e.Timer.PROCESS) == []


def test_a_restarted_display_is_not_looked_for_before_its_script_has_ended() -> None:
    """Until then the run folder names the process of the run before."""
    made = display()
    made.start(NOW)
    made.handle(m.StartScriptEnded(1, 1, PARAMS, ran_already=False), NOW)
    made.timer_fired(e.Timer.PROCESS)
    assert e.RunStart(2, PARAMS) in hear(made, E.ENDS, E.GONE)
    assert e.Timer.PROCESS not in made.timers.armed


def test_a_pid_that_is_known_is_not_looked_for_any_more() -> None:
    made = display()
    made.start(NOW)
    made.handle(m.StartScriptEnded(1, 1, PARAMS, ran_already=False), NOW)
    results = made.handle(m.ProcessFound(1, 1, 42), NOW)
    assert results == [e.DisarmTimer(e.Timer.PROCESS), e.WatchProcess(42)]


def test_the_pid_is_read_again_once_the_script_has_ended() -> None:
    made = display()
    made.start(NOW)
    hear(made, E.BEGINS)
    made.handle(m.ProcessFound(1, 1, 41), NOW)
    results = made.handle(m.StartScriptEnded(1, 1, PARAMS, ran_already=False), NOW)
    assert e.FindProcess(1) in results


def test_the_script_of_an_earlier_run_tells_nothing_of_the_new_one() -> None:
    made = display()
    made.start(NOW)
    hear(made, E.GONE, now=LATER)
    assert made.handle(m.StartScriptEnded(1, 1, PARAMS, ran_already=False), LATER) == []
    made.handle(m.StartScriptEnded(1, 2, OTHER, ran_already=False), LATER)
    assert (made.busy, made.ready_for) == (False, OTHER)


# -- its end ---------------------------------------------------------------------------------------


def test_a_display_that_ends_before_its_first_client_is_started_again_for_the_newest() -> None:
    made = listening()
    results = hear(made, E.ENDS, E.GONE, now=LATER)
    assert only(results, e.RunStart) == [e.RunStart(2, OTHER)]
    assert (made.phase, made.tries) == (P.STARTING, 2)


@pytest.mark.parametrize("guest", [VmState.BOOTING, VmState.RUNNING])
def test_one_that_always_ends_before_its_first_client_is_given_up(guest: VmState) -> None:
    made, now = display(tries_max=1), replace(NOW, guest=guest)
    made.start(now)
    [ended] = only(hear(made, E.GONE, now=now), Ended)
    assert isinstance(ended, Ended)
    assert str(ended.error) == sentences.NEVER_SHOWN
    assert hear(made, E.BEGINS, now=now) == [e.FindProcess(1)]
    assert made.phase is P.GIVEN_UP


def test_one_that_listened_long_is_started_as_if_for_the_first_time() -> None:
    made = listening()
    hear(made, E.ENDS, E.GONE, now=replace(NOW, now_s=NOW.now_s + PATIENCE_S + 1))
    assert made.tries == 1


def test_a_logout_is_no_failure() -> None:
    assert Ended(None) in hear(connected(), E.ENDS, E.GONE)


def test_the_end_of_a_display_whose_guest_is_being_stopped_is_nothing_new() -> None:
    stopping = replace(NOW, guest=VmState.STOPPING)
    assert only(hear(connected(), E.ENDS, E.GONE, now=stopping), Ended, e.RunStart) == []


def test_a_display_without_client_has_its_log_trimmed() -> None:
    made = connected()
    results = hear(made, E.SUSPENDS, E.SUSPENDED)
    assert only(results, e.TrimLog, Suspended) == [e.TrimLog(), Suspended()]
    assert made.ever_connected


# -- resume ----------------------------------------------------------------------------------------


def test_a_resume_waits_for_a_slot_writes_the_parameters_and_hangs_up() -> None:
    made = suspended()
    assert made.resume(NOW) == [e.QueueRedraw(made.slot_serial)]
    assert (made.phase, made.busy, made.shown) == (P.QUEUED, True, DisplayState.SUSPENDED)
    results = made.handle(m.RedrawSlotGiven(1, made.slot_serial), NOW)
    assert only(results, e.PrepareResume) == [e.PrepareResume(PARAMS)]
    results = made.handle(m.ResumePrepared(1, PARAMS), NOW)
    assert only(results, e.HangUp) == [e.HangUp(again=False)]
    assert (made.phase, made.ready_for, made.busy) == (P.TOGGLED, PARAMS, False)
    assert made.shown is DisplayState.STARTING
    hear(made, E.BEGINS, E.LISTENS)
    assert e.EndRedraw() in hear(made, E.CONNECTED)


def test_a_slot_that_is_not_wanted_any_more_is_ignored() -> None:
    made = suspended()
    made.resume(NOW)
    assert made.handle(m.RedrawSlotGiven(1, made.slot_serial - 1), NOW) == []
    assert e.EndRedraw() in hear(made, E.GONE)
    assert made.handle(m.RedrawSlotGiven(1, made.slot_serial), NOW) == []


def test_parameters_that_change_meanwhile_are_written_in_a_new_turn() -> None:
    made = preparing()
    results = made.handle(m.ResumePrepared(1, PARAMS), LATER)
    assert only(results, e.QueueRedraw, e.HangUp) == [e.QueueRedraw(made.slot_serial)]
    results = made.handle(m.RedrawSlotGiven(1, made.slot_serial), LATER)
    assert only(results, e.PrepareResume) == [e.PrepareResume(OTHER)]
    results = made.handle(m.ResumePrepared(1, OTHER), LATER)
    assert only(results, e.HangUp) == [e.HangUp(again=False)]
    assert made.ready_for == OTHER


def test_a_script_that_outlasts_the_slot_queues_again_and_does_not_run_again() -> None:
    made = preparing()
    assert e.EndRedraw() in made.timer_fired(e.Timer.REDRAW)
    results = made.handle(m.ResumePrepared(1, PARAMS), NOW)
    assert only(results, e.QueueRedraw, e.HangUp) == [e.QueueRedraw(made.slot_serial)]
    results = made.handle(m.RedrawSlotGiven(1, made.slot_serial), NOW)
    assert only(results, e.PrepareResume, e.HangUp) == [e.HangUp(again=False)]


def test_a_display_that_is_not_suspended_any_more_gets_no_signal() -> None:
    made = preparing()
    hear(made, E.BEGINS)
    assert made.handle(m.ResumePrepared(1, PARAMS), NOW) == []
    assert made.phase is P.STARTING


def test_a_display_that_listens_before_its_slot_comes_leaves_the_queue() -> None:
    made = suspended()
    made.resume(NOW)
    assert e.EndRedraw() in hear(made, E.LISTENS)


def test_a_signal_that_is_not_heard_is_repeated_with_growing_pauses_and_not_for_ever() -> None:
    made = toggled()
    pauses = [HANGUP_S]
    for _ in range(HANGUPS_MAX):
        results = made.timer_fired(e.Timer.HANGUP)
        assert results[0] == e.HangUp(again=True)
        pauses += [armed.seconds for armed in results[1:] if isinstance(armed, e.ArmTimer)]
    assert pauses == [HANGUP_S * 2**number for number in range(HANGUPS_MAX)]


def test_a_signal_that_was_heard_is_not_repeated() -> None:
    made = toggled()
    assert e.DisarmTimer(e.Timer.HANGUP) in hear(made, E.BEGINS)
    assert made.timer_fired(e.Timer.HANGUP) == []


def test_a_signal_that_finds_no_process_is_the_end_of_the_display() -> None:
    made = toggled()
    assert only(made.handle(m.HangUpMissed(1), NOW), Ended)


def test_a_first_signal_that_cannot_be_sent_leaves_the_display_suspended() -> None:
    made = toggled()
    results = made.handle(m.HangUpFailed(1, again=False, error=ERROR), NOW)
    assert only(results, Refused, e.EndRedraw) == [e.EndRedraw(), Refused(ERROR)]
    assert made.phase is P.SUSPENDED


def test_a_repeat_that_cannot_be_sent_changes_nothing() -> None:
    made = toggled()
    assert made.handle(m.HangUpFailed(1, again=True, error=ERROR), NOW) == []
    assert made.phase is P.TOGGLED


def test_a_script_that_fails_leaves_the_display_suspended() -> None:
    made = preparing()
    assert Refused(ERROR) in made.handle(m.DisplayTaskFailed(1, "resume", ERROR), NOW)
    assert (made.phase, made.busy) == (P.SUSPENDED, False)


def test_a_client_that_does_not_come_loses_the_slot() -> None:
    made = toggled()
    hear(made, E.BEGINS, E.LISTENS)
    [armed] = [key for key in made.timers.armed if key is e.Timer.REDRAW]
    assert e.EndRedraw() in made.timer_fired(armed)
    assert only(hear(made, E.CONNECTED), e.EndRedraw) == []


def test_the_slot_is_limited() -> None:
    made = suspended()
    made.resume(NOW)
    results = made.handle(m.RedrawSlotGiven(1, made.slot_serial), NOW)
    assert [armed.seconds for armed in results if isinstance(armed, e.ArmTimer)] == [REDRAW_S]


# -- dismissal -------------------------------------------------------------------------------------


def test_a_display_that_listens_for_another_client_is_dismissed() -> None:
    made = listening()
    assert made.dismiss(NOW) == [e.Dismiss()]
    assert (made.phase, made.shown, made.busy) == (P.DISMISSING, DisplayState.LISTENING, True)
    assert made.handle(m.DisplayDismissed(1), NOW) == []
    assert made.busy, "its log has not told of it yet"
    hear(made, E.SUSPENDS, E.SUSPENDED)
    assert not made.busy


def test_clients_that_never_come_do_not_use_up_its_tries() -> None:
    made = listening()
    made.dismiss(NOW)
    assert only(hear(made, E.ENDS, E.GONE), e.RunStart)
    assert made.tries == 1


def test_a_dismissal_that_fails_is_refused() -> None:
    made = listening()
    made.dismiss(NOW)
    assert Refused(ERROR) in made.handle(m.DisplayTaskFailed(1, "dismiss", ERROR), NOW)
    assert (made.phase, made.busy) == (P.LISTENING, False)


def test_a_display_that_a_client_may_have_dialled_is_ready_for_nobody() -> None:
    made = listening()
    made.invalidate()
    assert made.ready_for is None
    made = connected()
    made.invalidate()
    assert made.ready_for == PARAMS


# -- the rest --------------------------------------------------------------------------------------


def test_a_display_that_is_closed_leaves_no_timer() -> None:
    made = toggled()
    results = made.close()
    assert results[-1] == e.CloseDisplay()
    assert made.timers.armed == {}


def test_a_change_that_nobody_sees_is_not_logged() -> None:
    assert only(suspended().resume(NOW), e.Log) == []
    assert only(hear(listening(), E.CONNECTED), e.Log) == [
        e.Log(e.Level.DEBUG, "display_state", {"state": "connected"})
    ]


def test_an_error_of_a_start_is_the_guests_even_while_it_boots() -> None:
    made = display(tries_max=1)
    made.start(BOOTING)
    hear(made, E.BEGINS, E.LISTENS, E.CONNECTED, now=BOOTING)
    [ended] = only(hear(made, E.GONE, now=BOOTING), Ended)
    assert isinstance(ended, Ended)
    error: FarmError | None = ended.error
    assert isinstance(error, GuestFailed)
    assert str(error) == sentences.NEVER_SHOWN
