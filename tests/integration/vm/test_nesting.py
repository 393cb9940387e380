"""Sandboxes within a guest: bubblewrap makes one where the flavour lets it, and only there."""

import shutil
from dataclasses import replace
from pathlib import Path

from qvdnode.model.guest import GuestSpec
from tests.fixtures_guest import RealGuests

SANDBOX = "bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-pid"
AS_USER = "setpriv --reuid=1000 --regid=1000 --clear-groups"


async def started(guests: RealGuests, *, nesting: bool) -> GuestSpec:
    """A guest that has bubblewrap."""
    spec = replace(await guests.spec(), nesting=nesting)
    guests.specs[-1] = spec
    shutil.copy2("/usr/bin/bwrap", spec.root.root / "usr/bin/bwrap")
    await guests.driver.launch(spec)
    return spec


async def test_bubblewrap_makes_a_sandbox_where_it_may(guests: RealGuests) -> None:
    spec = await started(guests, nesting=True)
    answer = await guests.inside(spec, f"{AS_USER} {SANDBOX} sh -c 'echo /proc/[0-9]*' 2>&1")
    assert answer.split() == ["/proc/1", "/proc/2"], "it has a /proc of its own processes"


async def test_bubblewrap_makes_none_elsewhere(guests: RealGuests) -> None:
    spec = await started(guests, nesting=False)
    answer = await guests.inside(spec, f"{AS_USER} {SANDBOX} true 2>&1; echo ended with $?")
    assert "Operation not permitted" in answer
    assert answer.endswith("ended with 1")


async def test_nesting_opens_mounts_in_namespaces_of_ones_own_alone(
    guests: RealGuests,
) -> None:
    spec = await started(guests, nesting=True)
    for command in (
        "mount -t tmpfs none /mnt",
        "unshare --user --map-root-user --mount mount -t sysfs none /mnt",
        "echo x > /dev/.lxc/proc/sys/kernel/core_pattern",
        "echo 1 > /dev/.lxc/proc/sysrq-trigger",
        "unshare --user --map-root-user --net ip link set lo up",
    ):
        answer = await guests.inside(spec, f"{{ {command}; }} 2>/dev/null && echo done it")
        assert not answer.endswith("done it"), command


async def test_what_the_guests_own_proc_hides_stays_hidden_there(
    guests: RealGuests,
) -> None:
    spec = await started(guests, nesting=True)
    assert await guests.inside(spec, "cat /proc/diskstats /proc/partitions") == ""
    assert Path("/proc/partitions").read_text(encoding="ascii") != ""
