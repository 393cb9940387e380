from qvdnode.vm.core.effects import ArmTimer, DisarmTimer, Timer
from qvdnode.vm.core.timers import Timers


def test_an_armed_timer_fires_once() -> None:
    timers = Timers()
    armed = timers.arm(Timer.BOOT, 60.0)
    assert armed == ArmTimer(Timer.BOOT, armed.serial, 60.0)
    assert timers.take(Timer.BOOT, armed.serial)
    assert not timers.take(Timer.BOOT, armed.serial)


def test_a_timer_that_was_disarmed_is_stale() -> None:
    timers = Timers()
    armed = timers.arm(Timer.BOOT, 60.0)
    assert timers.disarm(Timer.BOOT) == [DisarmTimer(Timer.BOOT)]
    assert not timers.take(Timer.BOOT, armed.serial)
    assert timers.disarm(Timer.BOOT) == []


def test_a_timer_that_was_armed_again_fires_by_its_newest_serial_only() -> None:
    timers = Timers()
    older, newer = timers.arm(Timer.STOP, 10.0), timers.arm(Timer.STOP, 10.0)
    assert not timers.take(Timer.STOP, older.serial)
    assert timers.take(Timer.STOP, newer.serial)


def test_timers_of_different_kinds_do_not_meet() -> None:
    timers = Timers()
    stop, attach = timers.arm(Timer.STOP, 10.0), timers.arm(Timer.ATTACH, 5.0)
    assert not timers.take(Timer.STOP, attach.serial)
    assert timers.take(Timer.ATTACH, attach.serial)
    assert timers.take(Timer.STOP, stop.serial)
