"""What the doctor sees of this very host, compared with what the host's own programs say."""

import ctypes
import fcntl
import os
from pathlib import Path

from qvdnode.host import process
from qvdnode.host.probes import system
from qvdnode.host.probes.system import Kvm

TIME_ERROR = 5
"""What adjtimex(2) answers while the clock is not synchronised."""
KVM_CREATE_VM = 0xAE01


async def test_it_sees_what_the_hosts_programs_say() -> None:
    seen = system.probe()
    release = (await process.run(["uname", "-r"])).stdout.decode().strip()
    memory_kib = (await process.run(["free", "-k"])).stdout.decode().splitlines()[1].split()[1]
    assert seen.release == release
    assert seen.memory_mib == int(memory_kib) // 1024
    assert seen.cgroup_controllers >= {"cpu", "memory", "pids"}


def test_kvm_answers_where_a_machine_can_be_made() -> None:
    kvm = Path("/dev/kvm")
    if not kvm.exists():
        assert system.probe().kvm is Kvm.ABSENT
        return
    try:
        handle = os.open(kvm, os.O_RDWR | os.O_CLOEXEC)
        with os.fdopen(handle, "rb", closefd=True) as device:
            os.close(fcntl.ioctl(device, KVM_CREATE_VM, 0))
        expected = Kvm.ANSWERS
    except OSError:
        expected = Kvm.REFUSED
    assert system.probe().kvm is expected


def test_the_clock_is_what_the_kernel_calls_it() -> None:
    words = (ctypes.c_int * 64)()
    state = ctypes.CDLL(None).ntp_adjtime(ctypes.byref(words))
    assert system.probe().clock_synchronised is (state != TIME_ERROR)
