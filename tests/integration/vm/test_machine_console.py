"""The console of a machine: an administrator's shell there, and a log of all that it shows."""

from typing import Final

import pytest

from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.drivers.kvm import KvmDriver
from qvdnode.vm.guest_driver import Console
from tests.fixtures_guest import RealGuests

pytestmark = [pytest.mark.kvm, pytest.mark.timeout(300)]

LIMIT_S: Final = 60.0


async def shown(console: Console, wanted: bytes) -> bytes:
    """What it shows until it has shown that."""
    seen = b""
    try:
        async with TimeLimit(LIMIT_S):
            while wanted not in seen:
                piece = await console[0].read(4096)
                assert piece, f"closed after {seen!r}"
                seen += piece
    except TimeoutError:
        pytest.fail(f"only shown: {seen!r}")
    return seen


async def test_a_shell_of_its_root_is_at_the_console_while_it_is_open(
    real_machines: RealGuests,
) -> None:
    driver = real_machines.driver
    assert isinstance(driver, KvmDriver)
    spec = await real_machines.spec(1)
    await driver.launch(spec)
    console = await driver.open_console(spec)
    await shown(console, b"# ")  # what is typed before may be lost
    console[1].write(b"echo I am $(id -u) of $(hostname)\n")
    await shown(console, f"I am 0 of {spec.hostname}".encode())
    console[1].write(b"trap '' HUP; sleep 4242 & echo pa''rked; wait\n")
    await shown(console, b"parked")
    console[1].transport.abort()
    driver.close_console(spec)

    again = await driver.open_console(spec)
    await shown(again, b"# ")
    again[1].write(b"echo still $((40 + 2))\n")
    await shown(again, b"still 42")
    again[1].transport.abort()
    driver.close_console(spec)
    log = (driver.place.folder / f"{spec.name}.console").read_text(errors="replace")
    assert "still 42" in log
    await driver.kill(spec)
