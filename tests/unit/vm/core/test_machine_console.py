from hypothesis import given
from hypothesis import strategies as st

from qvdnode.vm.core.machine_console import TAIL_MAX, killed, verdict

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


@given(st.binary(max_size=2000))
def test_whatever_a_guest_writes_is_short_and_plain(text: bytes) -> None:
    said = verdict(text)
    assert len(said) <= TAIL_MAX
    assert said.isascii()
    assert said.isprintable()
