"""What holds guests on LXC alone; test_container_cage.py has what holds those of all containers."""

from pathlib import Path

import pytest

from qvdnode.host.cgroups import probe
from qvdnode.model.guest import GuestProcess, GuestSpec
from tests.fixtures_guest import RealGuests

pytestmark = pytest.mark.lxc


@pytest.fixture
async def spec(real_guests: RealGuests) -> GuestSpec:
    return await real_guests.spec()


@pytest.fixture
async def process(real_guests: RealGuests, spec: GuestSpec) -> GuestProcess:
    return await real_guests.driver.launch(spec)


def status_of(process: GuestProcess) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


async def test_what_the_node_starts_in_a_guest_is_under_both_filters(
    real_guests: RealGuests, spec: GuestSpec, process: GuestProcess
) -> None:
    assert status_of(process)["Seccomp_filters"] == "2"
    script = spec.root.root / "usr/lib/qvd/session"
    script.write_text("#!/bin/sh\ngrep Seccomp_filters /proc/self/status >/run/qvd/said\n")
    assert await real_guests.driver.run_session(spec, "status", limit_s=20) == 0
    assert (spec.run_folder / "said").read_text().split()[1] == "2"


async def test_one_monitor_is_all_that_a_guest_costs(
    real_guests: RealGuests, spec: GuestSpec, process: GuestProcess
) -> None:
    group = f"{real_guests.prefix}guests"
    monitors = probe().processes(f"{group}/monitor-{spec.name}")
    assert len(monitors) == 1
