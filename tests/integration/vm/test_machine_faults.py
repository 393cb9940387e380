"""A machine that runs out of memory, stops, freezes and panics: all is seen, nothing blocks."""

import os
import signal
from contextlib import suppress
from typing import Final

import pytest

from qvdnode.host.cgroups import probe
from qvdnode.model.errors import GuestFailed, TimedOut
from qvdnode.model.guest import GuestFault, GuestProcess, GuestSpec
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.core import machine_silence
from qvdnode.vm.drivers.kvm import KvmDriver
from tests.fixtures_guest import RealGuests
from tests.waiting import until

pytestmark = [pytest.mark.kvm, pytest.mark.timeout(300)]

LIMIT_S: Final = 100.0
SMALL: Final = 280 * 1024 * 1024
SCRIPT: Final = """#!/bin/sh
case $1 in
    grow) perl -e 'my $all = "x" x 200000000' ;;
    eat) perl -e 'my @all; push @all, "x" x 1000000 while 1' ;;
    panic) echo c > /proc/sysrq-trigger ;;
esac
exit 3
"""


def memory_of(driver: KvmDriver, spec: GuestSpec) -> int:
    """What the host has given to the machine and not got back."""
    group = driver.control_group(spec)
    assert group is not None
    return probe().memory(group).used_bytes


async def launched(guests: RealGuests) -> tuple[KvmDriver, GuestSpec, GuestProcess]:
    """A machine whose session script does what SCRIPT says."""
    driver = guests.driver
    assert isinstance(driver, KvmDriver)
    spec = await guests.spec(1)
    script = spec.root.root / "usr/lib/qvd/session"
    script.unlink()
    script.write_text(SCRIPT)
    script.chmod(0o755)
    return driver, spec, await driver.launch(spec)


async def require_working(driver: KvmDriver, spec: GuestSpec) -> None:
    """It answers."""
    assert await driver.run_session(spec, "nothing", limit_s=LIMIT_S) == 3


async def require_told_panic(
    driver: KvmDriver, spec: GuestSpec, process: GuestProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """Its kernel panics, and the driver knows that, and why."""
    with pytest.raises(GuestFailed, match="hung up"):
        await driver.run_session(spec, "panic", limit_s=LIMIT_S)
    await driver.wait_exit(process)
    cause = await driver.end_cause(spec)
    assert cause is not None
    assert cause.fault is GuestFault.PANIC
    assert "sysrq triggered crash" in cause.because
    console = (driver.place.folder / f"{spec.name}.console").read_text(errors="replace")
    assert (
        "qemu_system_shutdown_request reason=8" in console
    )  # its kernel has said so by pvpanic, too
    with caplog.at_level("INFO"):
        await driver.kill(spec)
    (told,) = [one for one in caplog.records if one.message == "machine_had_ended"]
    assert "sysrq triggered crash" in told.__dict__["console"]


async def require_told_hang(
    driver: KvmDriver, spec: GuestSpec, process: GuestProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its QEMU is stopped: the driver counts a hang, and the machine goes on afterwards."""
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(TimedOut):
        await driver.run_session(spec, "nothing", limit_s=1)
    assert await driver.find(spec) == process
    assert driver.limit_events(spec).hangs == 0
    monkeypatch.setattr(machine_silence, "HANGS_AFTER_S", 3.0)
    with suppress(TimeoutError):
        async with TimeLimit(6.5):
            await driver.wait_display(spec, 77)
    assert driver.limit_events(spec).hangs == 1
    os.kill(process.pid, signal.SIGCONT)
    await require_working(driver, spec)


async def test_faults_of_a_machine_are_seen_and_do_not_block(
    real_machines: RealGuests, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, spec, process = await launched(real_machines)

    assert driver.limit_events(spec).killed == 0
    assert await driver.run_session(spec, "grow", limit_s=LIMIT_S) == 3
    await until(lambda: memory_of(driver, spec) < SMALL, limit_s=LIMIT_S, what="freed memory")
    assert await driver.run_session(spec, "eat", limit_s=LIMIT_S) == 3
    await until(lambda: driver.limit_events(spec).killed == 1, limit_s=LIMIT_S, what="the kill")

    await require_told_hang(driver, spec, process, monkeypatch)

    group = driver.control_group(spec) or ""
    probe().freeze(group)
    await until(lambda: probe().has_frozen(group), limit_s=LIMIT_S, what="the machine to freeze")
    probe().thaw(group)
    await require_working(driver, spec)

    await require_told_panic(driver, spec, process, caplog)
