from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.guest import GuestFault
from qvdnode.vm.core.machine_console import TAIL_MAX, end_cause, killed, verdict

PANIC = b"""[    3.1] usb: hello\r
[    4.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r
[    4.3] CPU: 0 PID: 1 Comm: swapper/0 Not tainted\r
"""
OOM = b"[9.1] Out of memory: Killed process 77 (xterm) total-vm:1kB\r\n"


def test_programs_killed_for_memory_are_counted() -> None:
    assert killed(PANIC) == 0
    assert killed(OOM + PANIC + OOM) == 2
    assert killed(b"[9.1] Memory cgroup out of memory: Killed process 78 (x)\n") == 1


def test_a_panic_is_told_with_its_reason() -> None:
    wanted = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
    assert verdict(PANIC) == wanted


def test_our_own_first_program_is_told_too() -> None:
    said = b"x\nqvd: the root of the desktop cannot be mounted\n[1.0] reboot: machine restart\n"
    assert verdict(said) == "qvd: the root of the desktop cannot be mounted"


def test_without_either_it_is_the_last_lines() -> None:
    assert verdict(b"one\n\ntwo\nthree\nfour\nfive\n") == "two / three / four / five"
    assert verdict(b"") == ""


def test_what_qemu_says_of_itself_is_no_complaint() -> None:
    said = b"qemu_system_shutdown_request reason=7\n"
    assert verdict(said + b"qemu: no memory\n") == "qemu: no memory"
    assert verdict(said) == ""


def test_the_end_of_a_machine_is_told_apart() -> None:
    panic = end_cause(PANIC)
    assert panic is not None
    assert panic.fault is GuestFault.PANIC
    assert "VFS: Unable to mount root fs" in panic.because
    hung = end_cause(b"[61.0] Kernel panic - not syncing: NMI: Not continuing\r\n")
    assert hung is not None
    assert hung.fault is GuestFault.WATCHDOG
    silent = end_cause(b"qemu_system_shutdown_request reason=8\n")
    assert silent is not None
    assert silent.fault is GuestFault.PANIC
    assert end_cause(b"") is None
    assert end_cause(OOM + b"reboot: Power down\n") is None


@given(st.binary(max_size=2000))
def test_a_cause_is_short_and_plain_whatever_a_guest_writes(text: bytes) -> None:
    found = end_cause(b"\nKernel panic - not syncing: x" + text)
    assert found is not None
    assert len(found.because) <= TAIL_MAX + 100
    assert found.because.isprintable()


@given(st.binary(max_size=2000))
def test_whatever_a_guest_writes_is_short_and_plain(text: bytes) -> None:
    said = verdict(text)
    assert len(said) <= TAIL_MAX
    assert said.isascii()
    assert said.isprintable()
