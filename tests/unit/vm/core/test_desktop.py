"""The core of one VM: one message in, effects out, no loop and no clock."""

# long: it has to cover its module whole, by itself

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Conflict, FarmError, GuestFailed, HostFailed, TimedOut
from qvdnode.model.ids import Generation, VmId
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.vm.core import effects as e
from qvdnode.vm.core import messages as m
from qvdnode.vm.core import sentences
from qvdnode.vm.core.desktop import ROUNDS_MAX, Desktop, Limits
from qvdnode.vm.core.display import DisplayEvent as E
from qvdnode.vm.core.display import DisplayPhase
from tests.fakes.orders import desktop_order

T = TypeVar("T")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = desktop_order(7)
PARAMS = DisplayParams(geometry="1x1")
OTHER = DisplayParams(geometry="2x2")
ERROR = HostFailed("no way")
GENERATION = Generation(3)
LIMITS = Limits(boot_limit_s=60.0, attach_limit_s=15.0, stop_limit_s=10.0, display_tries=3)


class Vm:
    """A core, the time, and the effects of the last message."""

    def __init__(self) -> None:
        self.core = Desktop(VmId(7), ORDER, LIMITS, BEGAN)
        self.seconds = 0.0
        self.effects: list[e.Effect] = []

    def take(self, *messages: m.Message) -> list[e.Effect]:
        """Hand messages to the core, a second apart; the effects of all of them."""
        self.effects = []
        for message in messages:
            self.seconds += 1
            moment = m.Moment(BEGAN + timedelta(seconds=self.seconds), self.seconds)
            self.effects += self.core.handle(message, moment)
        return self.effects

    def did(self, kind: type[T]) -> list[T]:
        """The effects of that kind."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def hear(self, *events: E) -> list[e.Effect]:
        """The display's log grows."""
        return self.take(m.DisplayHeard(self.core.start, events))

    def fires(self, timer: e.Timer) -> list[e.Effect]:
        """A timer that is armed runs out."""
        return self.take(m.TimerFired(timer, self.core.timers.armed[timer]))

    def state(self) -> VmState:
        """Of the guest, now."""
        return self.core.state

    @property
    def errors(self) -> list[tuple[int, str]]:
        """Who was refused, and why."""
        return [(refused.request, str(refused.error)) for refused in self.did(e.Refuse)]


@pytest.fixture
def vm() -> Vm:
    return Vm()


def prepare(vm: Vm, client: int = 1) -> Vm:
    vm.take(m.AttachAsked(client, ORDER, PARAMS))
    start = vm.core.start
    vm.take(m.SlotGiven(start), m.Acquired(start, GENERATION))
    return vm


def boot(vm: Vm, client: int = 1) -> Vm:
    start = prepare(vm, client).core.start
    vm.take(m.Launched(start), m.LogFollowed(start, ()))
    return vm


def run(vm: Vm, client: int = 1) -> Vm:
    """A desktop with a seated client that has not dialled."""
    boot(vm, client)
    vm.hear(E.BEGINS, E.LISTENS)
    vm.take(m.StartScriptEnded(vm.core.start, 1, PARAMS, ran_already=False))
    return vm


def leave(vm: Vm) -> Vm:
    """A suspended desktop without client."""
    run(vm).hear(E.CONNECTED)
    vm.hear(E.SUSPENDS, E.SUSPENDED)
    return vm


def adopt(vm: Vm, *, whole: bool = True, error: FarmError | None = None) -> Vm:
    vm.take(m.Found(ORDER, GENERATION, whole, error))
    return vm


# -- a start ---------------------------------------------------------------------------------------


def test_a_client_starts_its_vm_and_gets_the_seat(vm: Vm) -> None:
    assert e.BringUp(1, ORDER) in vm.take(m.AttachAsked(1, ORDER, PARAMS))
    vm.take(m.SlotGiven(1), m.Acquired(1, GENERATION), m.Launched(1))
    assert vm.did(e.Record) == [e.Record(1, GENERATION, VmState.BOOTING)]
    assert vm.did(e.WatchGuest) == [e.WatchGuest(1)]
    assert vm.did(e.FollowLog)
    vm.take(m.LogFollowed(1, ()))
    assert vm.did(e.RunStart) == [e.RunStart(1, PARAMS)]
    vm.hear(E.BEGINS, E.LISTENS)
    [finished] = vm.did(e.FinishBringUp)
    assert (finished.listen_s, finished.total_s) == (2.0, 4.0)
    assert not vm.did(e.SeatClient), "the script runs"
    vm.take(m.StartScriptEnded(1, 1, PARAMS, ran_already=False))
    assert vm.did(e.SeatClient) == [e.SeatClient(1)]
    assert vm.core.clients.seated == 1
    assert not vm.core.idle


def test_who_waits_is_told_what_goes_on(vm: Vm) -> None:
    vm.take(m.AttachAsked(1, ORDER, PARAMS), m.ImageFetched(1, "3 of 9 MiB"))
    assert [told.sentence for told in vm.did(e.Tell)][-1] == "3 of 9 MiB"
    vm.take(m.Queued(1, 2))
    assert vm.core.place == 2
    vm.take(m.AttachAsked(2, ORDER, PARAMS), m.StartAsked(3, ORDER), m.SlotGiven(1))
    assert [(told.request, told.sentence) for told in vm.did(e.Tell)] == [
        (2, "You are number 2 in the queue"),
        (2, "Starting virtual machine"),
        (3, "Starting virtual machine"),
    ]
    assert vm.core.place is None


def test_a_client_that_comes_while_the_vm_starts_is_told_so(vm: Vm) -> None:
    prepare(vm).take(m.AttachAsked(2, ORDER, PARAMS))
    assert vm.did(e.Tell) == [e.Tell(2, sentences.STARTING)]


def test_a_bring_up_that_fails_is_undone_before_it_is_said(vm: Vm) -> None:
    prepare(vm).take(m.BringUpFailed(1, ERROR))
    assert vm.state() is VmState.KILLING
    assert vm.errors == []
    assert vm.did(e.CountFailure) == [e.CountFailure("host_failed")]
    assert vm.did(e.Kill) == [e.Kill(1)]
    vm.take(m.NothingLeft(1), m.Cleaned(1))
    assert vm.errors == [(1, "no way")]
    assert vm.did(e.Release) == [e.Release(2, GENERATION, VmState.FAILED, "no way")]
    assert vm.did(e.ForgetGuest)
    assert not vm.core.idle
    vm.take(m.RowWritten(2))
    assert vm.core.idle


def test_a_bring_up_that_fails_when_nobody_wants_it_any_more_is_nothing_new(vm: Vm) -> None:
    prepare(vm).take(m.StopAsked(2))
    vm.take(m.BringUpFailed(1, ERROR))
    assert vm.core.error is None


def test_a_start_that_takes_too_long_is_undone(vm: Vm) -> None:
    boot(vm).fires(e.Timer.BOOT)
    assert vm.state() is VmState.KILLING
    assert str(vm.core.error) == "The desktop did not come up within 60 s."


def test_a_slot_that_comes_too_late_sets_no_limit(vm: Vm) -> None:
    vm.take(m.AttachAsked(1, ORDER, PARAMS), m.StopAsked(2), m.SlotGiven(1))
    assert e.Timer.BOOT not in vm.core.timers.armed


def test_nothing_claimed_is_not_written(vm: Vm) -> None:
    vm.take(m.AttachAsked(1, ORDER, PARAMS), m.BringUpFailed(1, ERROR))
    vm.take(m.NothingLeft(1), m.Cleaned(1))
    assert vm.did(e.Release) == []
    assert vm.core.idle


def test_a_message_of_an_earlier_start_is_stale(vm: Vm) -> None:
    prepare(vm).take(m.BringUpFailed(1, ERROR), m.NothingLeft(1), m.Cleaned(1))
    prepare(vm, 2).take(m.Launched(1), m.GuestExited(1), m.HangUpMissed(1))
    assert (vm.core.start, vm.core.state) == (2, VmState.PREPARING)


def test_a_message_about_a_display_that_is_closed_is_stale(vm: Vm) -> None:
    run(vm).take(m.GuestExited(1))
    assert vm.hear(E.CONNECTED) == vm.take(m.HangUpMissed(1)) == []


def test_a_desktop_that_was_lost_while_it_came_up_fails_the_start(vm: Vm) -> None:
    boot(vm).take(m.DisplayTaskFailed(1, "start", ERROR))
    assert (vm.core.state, vm.core.error) == (VmState.KILLING, ERROR)


def test_a_log_that_cannot_be_read_fails_the_start(vm: Vm) -> None:
    prepare(vm).take(m.Launched(1), m.LogNotFollowed(1, ERROR, gone=False))
    assert (vm.core.state, vm.core.error) == (VmState.KILLING, ERROR)


# -- requests without a display --------------------------------------------------------------------


def test_a_start_is_answered_once_the_vm_runs(vm: Vm) -> None:
    assert vm.take(m.StartAsked(1, ORDER))[-1] == e.BringUp(1, ORDER)
    vm.take(m.Launched(1), m.LogFollowed(1, ()), m.DisplayHeard(1, (E.LISTENS,)))
    assert vm.did(e.Answer) == [e.Answer(1)]
    assert vm.take(m.StartAsked(2, ORDER)) == [e.Answer(2)]


def test_a_stop_is_answered_once_nothing_is_left(vm: Vm) -> None:
    run(vm).take(m.StopAsked(2))
    assert vm.did(e.Evict) == [e.Evict(1, "the desktop is being stopped")]
    assert vm.did(e.ShutDown) == [e.ShutDown(PARAMS)]
    assert vm.did(e.Answer) == []
    vm.take(m.GuestExited(1), m.NothingLeft(1))
    assert vm.did(e.Clean) == [e.Clean(1, "The desktop was stopped.", failed=False)]
    vm.take(m.Cleaned(1))
    assert vm.did(e.Answer) == [e.Answer(2)]
    assert vm.state() is VmState.STOPPED
    assert vm.take(m.StopAsked(3)) == [e.Answer(3)]


def test_a_guest_that_does_not_end_by_itself_is_killed(vm: Vm) -> None:
    run(vm).take(m.StopAsked(2))
    assert e.Kill(1) in vm.fires(e.Timer.STOP)


def test_a_stop_refuses_who_waits_for_the_start(vm: Vm) -> None:
    boot(vm).take(m.StopAsked(2), m.GuestExited(1), m.NothingLeft(1), m.Cleaned(1))
    assert vm.errors == [(1, sentences.STOPPED)]
    assert vm.did(e.Answer) == [e.Answer(2)]


def test_a_failure_is_dismissed_by_a_stop(vm: Vm) -> None:
    prepare(vm).take(m.BringUpFailed(1, ERROR), m.NothingLeft(1), m.Cleaned(1))
    vm.take(m.StopAsked(2))
    assert (vm.core.state, vm.did(e.Answer)) == (VmState.STOPPED, [e.Answer(2)])


def test_an_administrator_closes_the_stream_of_the_attached_client(vm: Vm) -> None:
    run(vm)
    assert vm.take(m.DisconnectAsked(2)) == [
        e.Evict(1, "disconnected by an administrator"),
        e.Answer(2, True),
    ]
    assert vm.take(m.DisconnectAsked(3)) == [e.Answer(3, False)]


@pytest.mark.parametrize(("at_once", "state"), [(True, VmState.KILLING), (False, VmState.STOPPING)])
def test_a_guest_that_fills_the_disk_is_ended(vm: Vm, at_once: bool, state: VmState) -> None:
    run(vm).take(m.DiskFilled("It wrote too much.", at_once))
    assert vm.state() is state
    assert vm.did(e.Evict) == [e.Evict(1, "the desktop was filling the node's disk")]
    assert str(vm.core.error) == "It wrote too much."


# -- clients ---------------------------------------------------------------------------------------


def test_the_newest_client_takes_over(vm: Vm) -> None:
    run(vm).hear(E.CONNECTED)
    vm.take(m.AttachAsked(2, ORDER, OTHER))
    assert vm.did(e.Evict) == [e.Evict(1, "a newer connection took over")]
    assert vm.did(e.Tell) == [e.Tell(2, sentences.TAKEOVER)]
    vm.hear(E.SUSPENDS, E.SUSPENDED)
    [queue] = vm.did(e.QueueRedraw)
    vm.take(m.RedrawSlotGiven(1, queue.serial), m.ResumePrepared(1, OTHER))
    assert vm.did(e.HangUp) == [e.HangUp(again=False)]
    vm.hear(E.BEGINS, E.LISTENS)
    assert vm.did(e.SeatClient) == [e.SeatClient(2)]


def test_a_display_that_listens_for_another_client_is_dismissed(vm: Vm) -> None:
    run(vm).take(m.Detached(1))
    vm.take(m.AttachAsked(2, ORDER, PARAMS))
    assert vm.did(e.Dismiss) == [e.Dismiss()]


def test_a_client_that_withdraws_leaves_the_start_going(vm: Vm) -> None:
    boot(vm).take(m.Withdrawn(1))
    vm.hear(E.LISTENS)
    assert vm.state() is VmState.RUNNING
    assert vm.core.clients.seated is None


def test_a_client_that_left_already_leaves_nothing(vm: Vm) -> None:
    run(vm)
    assert vm.take(m.Detached(9)) == []


def test_a_display_that_lets_go_ends_the_stream(vm: Vm) -> None:
    run(vm).hear(E.CONNECTED, E.SUSPENDS, E.SUSPENDED)
    assert vm.did(e.Evict) == [e.Evict(1, "the display was suspended")]


def test_a_client_that_cannot_be_served_in_time_is_refused(vm: Vm) -> None:
    run(vm).hear(E.CONNECTED)
    vm.take(m.AttachAsked(2, ORDER, PARAMS))
    vm.fires(e.Timer.ATTACH)
    [(client, text)] = vm.errors
    assert (client, text) == (2, sentences.NOT_REACHED)
    assert vm.core.clients.waiting is None


def test_a_client_whose_display_queues_has_more_time(vm: Vm) -> None:
    leave(vm).take(m.AttachAsked(2, ORDER, PARAMS))
    for _ in range(ROUNDS_MAX):
        assert vm.fires(e.Timer.ATTACH)[0] == e.Tell(2, sentences.REDRAWS)
    vm.fires(e.Timer.ATTACH)
    assert vm.errors == [(2, sentences.NOT_REACHED)]


def test_what_was_refused_while_it_comes_up_is_said_at_the_limit_at_last(vm: Vm) -> None:
    boot(vm).take(m.DisplayTaskFailed(1, "start", ERROR))
    assert vm.errors == []
    vm.fires(e.Timer.ATTACH)
    assert vm.errors == [(1, "no way")]


def test_the_limit_of_an_earlier_client_does_not_end_a_start(vm: Vm) -> None:
    vm.take(m.StartAsked(1, ORDER), m.Launched(1), m.LogFollowed(1, ()))
    vm.hear(E.LISTENS)
    vm.take(m.StopAsked(2), m.GuestExited(1), m.NothingLeft(1), m.Cleaned(1))
    vm.take(m.StartAsked(3, ORDER), m.AttachAsked(4, ORDER, PARAMS))
    assert vm.fires(e.Timer.ATTACH) == []
    assert vm.core.clients.waiting == 4


def test_a_timer_that_is_stale_does_nothing(vm: Vm) -> None:
    boot(vm)
    assert vm.take(m.TimerFired(e.Timer.BOOT, 999)) == []


def test_what_a_client_needs_may_fail_without_the_desktop(vm: Vm) -> None:
    leave(vm).take(m.AttachAsked(2, ORDER, OTHER))
    [queue] = vm.did(e.QueueRedraw)
    vm.take(m.RedrawSlotGiven(1, queue.serial), m.DisplayTaskFailed(1, "resume", ERROR))
    assert vm.errors == [(2, "no way")]
    assert vm.state() is VmState.RUNNING


# -- ends ------------------------------------------------------------------------------------------


def test_a_logout_ends_the_guest_without_an_error(vm: Vm) -> None:
    run(vm).hear(E.CONNECTED)
    vm.hear(E.ENDS, E.GONE)
    assert vm.did(e.Evict) == [e.Evict(1, "the desktop has ended")]
    assert (vm.core.state, vm.core.error) == (VmState.STOPPING, None)


def test_a_crash_ends_the_guest_with_an_error(vm: Vm) -> None:
    run(vm).hear(E.CONNECTED, E.GONE)
    assert vm.did(e.Evict) == [e.Evict(1, "the desktop ended unexpectedly")]
    assert str(vm.core.error) == sentences.CRASHED


@pytest.mark.parametrize(
    ("come", "text"),
    [(boot, sentences.DIED_BOOTING), (run, sentences.DIED)],
)
def test_a_guest_that_ends_by_itself_has_failed(
    vm: Vm, come: Callable[[Vm], Vm], text: str
) -> None:
    come(vm)
    vm.take(m.GuestExited(1))
    assert (vm.core.state, str(vm.core.error)) == (VmState.KILLING, text)


@pytest.mark.parametrize("come", [boot, run])
def test_why_a_guest_ended_is_told_where_its_driver_knows(vm: Vm, come: Callable[[Vm], Vm]) -> None:
    come(vm)
    vm.take(m.GuestExited(1, "its kernel panicked"))
    assert vm.core.state is VmState.KILLING
    assert str(vm.core.error) == sentences.DIED_BECAUSE.format(because="its kernel panicked")


def test_a_lost_lease_ends_the_guest_of_that_generation_alone(vm: Vm) -> None:
    run(vm).take(m.LeaseLost(Generation(2)))
    assert vm.state() is VmState.RUNNING
    vm.take(m.LeaseLost(GENERATION))
    assert vm.state() is VmState.KILLING
    assert vm.did(e.Evict) == [e.Evict(1, "this node may not run the desktop any more")]


def test_a_mistake_of_the_node_ends_the_guest_and_is_said(vm: Vm) -> None:
    boot(vm).take(m.TurnFailed())
    assert vm.state() is VmState.KILLING
    assert str(vm.core.error) == sentences.MISTAKE
    vm.take(m.NothingLeft(1), m.Cleaned(1), m.TurnFailed())
    assert vm.errors == [(1, sentences.MISTAKE)]
    assert vm.state() is VmState.FAILED


def test_when_the_node_stops_everybody_is_let_go_and_the_guest_is_left(vm: Vm) -> None:
    run(vm).take(m.AttachAsked(2, ORDER, PARAMS), m.StopAsked(3))
    vm.take(m.NodeStops())
    assert vm.errors == [(2, sentences.STOPPED)]
    assert vm.did(e.Answer) == [e.Answer(3)]
    assert vm.did(e.CloseDisplay)
    assert vm.did(e.Kill) == []


def test_a_vm_at_rest_has_nothing_to_close(vm: Vm) -> None:
    assert vm.take(m.NodeStops()) == []
    assert vm.core.idle


def test_a_core_says_when_it_came_to_its_state(vm: Vm) -> None:
    assert vm.core.since == BEGAN
    prepare(vm)
    assert vm.core.since == BEGAN + timedelta(seconds=1)


# -- adoption --------------------------------------------------------------------------------------


def test_a_whole_guest_is_adopted(vm: Vm) -> None:
    adopt(vm)
    assert vm.did(e.WatchGuest) == [e.WatchGuest(1)]
    assert vm.did(e.FollowLog)
    assert vm.did(e.FinishBringUp) == []
    assert (vm.core.state, vm.core.shown_display) == (VmState.RUNNING, DisplayState.STARTING)
    vm.take(m.LogFollowed(1, (E.SUSPENDED,)))
    assert vm.core.shown_display is DisplayState.SUSPENDED


def test_a_guest_that_is_not_whole_is_ended(vm: Vm) -> None:
    adopt(vm, whole=False, error=ERROR)
    assert (vm.core.state, vm.core.error) == (VmState.KILLING, ERROR)
    assert vm.did(e.Kill) == [e.Kill(1)]
    assert vm.core.shown_display is DisplayState.OFF


def test_an_adopted_guest_whose_log_is_gone_is_ended(vm: Vm) -> None:
    adopt(vm).take(m.LogNotFollowed(1, ERROR, gone=True))
    assert (vm.core.state, vm.core.error) == (VmState.KILLING, ERROR)


def test_the_log_of_an_adopted_display_is_tried_again(vm: Vm) -> None:
    adopt(vm).take(m.LogNotFollowed(1, ERROR, gone=False))
    assert vm.fires(e.Timer.FOLLOW) == [e.FollowLog()]


def test_an_adopted_desktop_that_ended_meanwhile_ends(vm: Vm) -> None:
    history = (E.BEGINS, E.LISTENS, E.CONNECTED, E.ENDS, E.GONE)
    adopt(vm).take(m.LogFollowed(1, history))
    assert vm.state() is VmState.STOPPING


# -- prepared desktops -----------------------------------------------------------------------------


def prepared(vm: Vm) -> Vm:
    """Started for nobody."""
    vm.take(m.StartAsked(9, ORDER), m.SlotGiven(1), m.Acquired(1, GENERATION), m.Launched(1))
    vm.take(m.LogFollowed(1, ()))
    return vm


def test_a_start_without_a_client_prepares_the_guest_and_no_display(vm: Vm) -> None:
    prepared(vm)
    assert vm.did(e.RunStart) == []
    assert vm.did(e.Answer) == [e.Answer(9)]
    assert vm.did(e.FinishBringUp) == [e.FinishBringUp(None, 3.0)]
    assert (vm.state(), vm.core.shown_display) == (VmState.RUNNING, DisplayState.OFF)
    armed = set(vm.core.timers.armed)
    assert armed <= {e.Timer.ATTACH}, "nothing is repeated while nobody comes"


def test_the_first_client_starts_the_display_of_a_prepared_guest(vm: Vm) -> None:
    prepared(vm).take(m.AttachAsked(1, ORDER, OTHER))
    assert vm.did(e.RunStart) == [e.RunStart(1, OTHER)]
    vm.hear(E.BEGINS, E.LISTENS)
    assert vm.did(e.SeatClient) == [], "the script runs"
    vm.take(m.StartScriptEnded(1, 1, OTHER, ran_already=False))
    assert vm.did(e.SeatClient) == [e.SeatClient(1)]
    assert vm.did(e.Dismiss) == []


def test_a_prepared_guest_is_adopted_as_it_is(vm: Vm) -> None:
    adopt(vm).take(m.LogFollowed(1, ()))
    assert (vm.state(), vm.core.shown_display) == (VmState.RUNNING, DisplayState.OFF)
    vm.take(m.AttachAsked(1, ORDER, PARAMS))
    assert vm.did(e.RunStart) == [e.RunStart(1, PARAMS)]


def test_a_display_that_gave_up_its_wait_while_no_node_ran_costs_no_guest(vm: Vm) -> None:
    adopt(vm).take(m.LogFollowed(1, (E.BEGINS, E.LISTENS, E.ENDS, E.GONE)))
    assert (vm.state(), vm.core.shown_display) == (VmState.RUNNING, DisplayState.OFF)


def test_a_display_that_gives_up_its_wait_is_not_started_again_for_nobody(vm: Vm) -> None:
    run(vm).take(m.Detached(1))
    vm.hear(E.ENDS, E.GONE)
    assert vm.did(e.RunStart) == []
    assert [entry.event for entry in vm.did(e.Log)][-1] == "display_gave_up_waiting"
    assert vm.state() is VmState.RUNNING


# -- why it ended ----------------------------------------------------------------------------------


def end(vm: Vm) -> e.Clean:
    """The desktop that has ended is cleaned up."""
    vm.take(m.GuestExited(1), m.NothingLeft(1))
    [clean] = vm.did(e.Clean)
    return clean


def test_a_logout_is_told_as_one(vm: Vm) -> None:
    run(vm).hear(E.CONNECTED, E.ENDS)
    vm.take(m.DisplayHeard(1, (E.GONE,), 0))
    assert vm.core.end_reason == sentences.LOGGED_OUT
    assert end(vm) == e.Clean(1, sentences.LOGGED_OUT, failed=False)


def test_a_program_that_is_missing_is_a_failure(vm: Vm) -> None:
    run(vm).hear(E.CONNECTED, E.ENDS)
    vm.take(m.DisplayHeard(1, (E.GONE,), 127))
    missing = sentences.PROGRAM_MISSING.format(code=127)
    assert end(vm) == e.Clean(1, missing, failed=True)


def test_the_reason_goes_with_the_next_start(vm: Vm) -> None:
    run(vm).take(m.StopAsked(2))
    assert vm.core.end_reason == sentences.STOPPED
    end(vm)
    vm.take(m.Cleaned(1), m.AttachAsked(1, ORDER, PARAMS))
    assert vm.core.end_reason is None


def test_a_lost_lease_is_told_as_one(vm: Vm) -> None:
    run(vm).take(m.LeaseLost(GENERATION))
    assert "may not run the desktop any more" in (vm.core.end_reason or "")


# -- what is refused -------------------------------------------------------------------------------


def test_the_kinds_of_refusals(vm: Vm) -> None:
    prepare(vm).take(m.AttachAsked(2, ORDER, PARAMS))
    [refused] = vm.did(e.Refuse)
    assert isinstance(refused.error, Conflict)
    leave(Vm())
    other = run(Vm())
    other.hear(E.CONNECTED)
    other.take(m.AttachAsked(2, ORDER, PARAMS))
    other.fires(e.Timer.ATTACH)
    [late] = other.did(e.Refuse)
    assert isinstance(late.error, TimedOut)
    assert other.core.display is not None
    assert other.core.display.phase is DisplayPhase.CONNECTED
    stopped = Vm()
    stopped.take(m.StartAsked(1, ORDER), m.NodeStops())
    [let_go] = stopped.did(e.Refuse)
    assert isinstance(let_go.error, GuestFailed)


# -- hibernation -----------------------------------------------------------------------------------


def sleep(vm: Vm) -> Vm:
    """A hibernated desktop."""
    leave(vm).take(m.HibernateAsked(9))
    assert vm.state() is VmState.HIBERNATED
    return vm


def test_a_desktop_without_a_client_is_frozen_and_recorded(vm: Vm) -> None:
    sleep(vm)
    assert vm.did(e.Freeze) == [e.Freeze(1)]
    assert [record.state for record in vm.did(e.Record)] == [VmState.HIBERNATED]
    assert vm.did(e.Answer) == [e.Answer(9, True)]
    assert not vm.core.idle


@pytest.mark.parametrize("make", [prepare, boot, run])
def test_one_that_is_wanted_is_not_frozen(vm: Vm, make: Callable[[Vm], Vm]) -> None:
    make(vm).take(m.HibernateAsked(9))
    assert not vm.did(e.Freeze)
    assert vm.did(e.Answer) == [e.Answer(9, False)]


def test_a_client_thaws_it_before_its_display_is_asked_for_anything(vm: Vm) -> None:
    sleep(vm).take(m.AttachAsked(2, ORDER, PARAMS))
    kinds = [type(effect) for effect in vm.effects]
    assert kinds.index(e.Thaw) < kinds.index(e.QueueRedraw)
    assert vm.state() is VmState.RUNNING
    assert not vm.did(e.FinishBringUp), "it does not come up again"
    assert vm.core.unused_since is None


def test_a_start_wakes_it_and_counts_as_use(vm: Vm) -> None:
    sleep(vm).take(m.StartAsked(3, ORDER))
    assert vm.did(e.Thaw) == [e.Thaw()]
    assert vm.did(e.Answer) == [e.Answer(3)]
    assert vm.core.unused_since == BEGAN + timedelta(seconds=vm.seconds)


def test_a_failed_freeze_is_told_and_undone(vm: Vm) -> None:
    sleep(vm).take(m.FreezeFailed(1, ERROR))
    assert vm.state() is VmState.RUNNING
    assert vm.did(e.Thaw) == [e.Thaw()]
    [told] = vm.did(e.Log)[:1]
    assert (told.event, told.facts) == ("not_hibernated", {"because": "no way"})
    vm.take(m.FreezeFailed(1, ERROR))
    assert vm.state() is VmState.RUNNING


def test_a_stop_thaws_before_the_desktop_is_asked_to_end(vm: Vm) -> None:
    sleep(vm).take(m.StopAsked(4))
    kinds = [type(effect) for effect in vm.effects]
    assert kinds.index(e.Thaw) < kinds.index(e.ShutDown)


def test_a_guest_that_dies_hibernated_is_told_to_have_died(vm: Vm) -> None:
    sleep(vm).take(m.GuestExited(1))
    assert vm.state() is VmState.KILLING
    assert vm.core.error is not None


def test_a_hibernated_guest_is_adopted_as_such(vm: Vm) -> None:
    vm.take(m.Found(ORDER, GENERATION, whole=True, error=None, frozen=True))
    assert vm.state() is VmState.HIBERNATED
    assert vm.did(e.Freeze) == [e.Freeze(1)]
    vm.take(m.LogFollowed(1, (E.BEGINS, E.LISTENS, E.CONNECTED, E.SUSPENDS, E.SUSPENDED)))
    assert vm.core.shown_display is DisplayState.SUSPENDED
    vm.take(m.AttachAsked(2, ORDER, PARAMS))
    assert vm.did(e.Thaw) == [e.Thaw()]


def test_the_end_of_its_display_is_heard_late(vm: Vm) -> None:
    sleep(vm).hear(E.ENDS, E.GONE)
    assert vm.did(e.Thaw) == [e.Thaw()]
    assert vm.state() is VmState.STOPPING
