"""Limits of the kernel that guests and host could share: nobody takes what others need."""

import errno
import fcntl
import os
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from qvdnode.host import process
from qvdnode.host.cgroups import probe
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.core.lxc_config import TERMINALS, guests_group
from qvdnode.vm.lock_watch import LOCKS_MAX, LockWatch
from tests.attacks.attacker import PROGRAMS, Attacker
from tests.attacks.conftest import Invade
from tests.fixtures_guest import RealGuests
from tests.waiting import until

pytestmark = [pytest.mark.lxc, pytest.mark.alone]

NS_GET_OWNER_UID = 0xB704
ROOM_S = 25.0


async def on_host(kind: str, folder: Path) -> str:
    """What the host's root gets when it wants one of that kind."""
    program = folder / "hoard"
    if not program.exists():
        await process.run(["tcc", "-Wall", "-o", program, PROGRAMS / "hoard.c"])
    return (await process.run([program, kind, "1"])).stdout.decode().strip()


async def test_a_guests_user_namespace_belongs_to_a_uid_of_its_own(attacker: Attacker) -> None:
    guest = await attacker.guests.driver.find(attacker.spec)
    assert guest is not None
    namespace = os.open(f"/proc/{guest.pid}/ns/user", os.O_RDONLY)
    try:
        owner = int.from_bytes(fcntl.ioctl(namespace, NS_GET_OWNER_UID, bytes(4)), "little")
    finally:
        os.close(namespace)
    assert owner == attacker.spec.ids.start


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("instances", errno.EMFILE),
        ("watches", errno.ENOSPC),
        ("signals", errno.EAGAIN),
        ("queues", errno.EMFILE),
    ],
)
async def test_whoever_takes_all_takes_it_from_no_other_guest_and_not_from_the_host(
    invade: Invade, tmp_path: Path, kind: str, limit: int
) -> None:
    greedy, other = await invade(1), await invade(2)
    program = await greedy.build("hoard")
    await other.build("hoard")
    user = await greedy.as_user(f"{program} {kind}", limit_s=ROOM_S)
    root = await greedy.as_root(f"{program} {kind}", limit_s=ROOM_S)
    host = await on_host(kind, tmp_path)
    others = [
        await other.as_user(f"{program} {kind} 1"), await other.as_root(f"{program} {kind} 1"),
    ]  # fmt: skip
    assert user.endswith(f" {limit}"), "it did not take all, so this shows nothing"
    assert root.endswith(f" {limit}")
    assert host == "1 0"
    assert others == ["1 0", "1 0"]


@pytest.mark.parametrize("kind", ["terminals", "own-terminals", "networks", "ipcs"])
async def test_what_nobody_is_charged_for_is_few_for_each_guest(
    invade: Invade, tmp_path: Path, kind: str
) -> None:
    greedy, other = await invade(1), await invade(2)
    program = await greedy.build("hoard")
    await other.build("hoard")
    took = [
        await greedy.as_user(f"{program} {kind} 1000"),
        # Its root can be anybody in it, so what counts is what all have together.
        await greedy.as_root(f"{program} {kind} 1000"),
        await greedy.as_root(f"setpriv --reuid=4000 --clear-groups {program} {kind} 1000"),
    ]
    assert sum(int(answer.split()[0]) for answer in took) <= TERMINALS
    assert all(int(answer.split()[1]) in {errno.ENOSPC, errno.EPERM} for answer in took)
    shared = kind.removeprefix("own-")
    assert await other.as_user(f"{program} {shared} 1") == "1 0"
    assert await on_host(shared, tmp_path) == "1 0"


async def test_the_hosts_asynchronous_io_is_not_for_guests(attacker: Attacker) -> None:
    program = await attacker.build("hoard")
    for answer in (
        await attacker.as_user(f"{program} events"), await attacker.as_root(f"{program} events"),
    ):  # fmt: skip
        assert answer == f"0 {errno.ENOSYS}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["locks", "open-file-locks", "orphan-locks"])
async def test_whoever_takes_locks_without_end_is_ended_and_no_other_guest(
    invade: Invade, kind: str
) -> None:
    greedy, other = await invade(1), await invade(2)
    program = await greedy.build("hoard")
    await other.build("hoard")
    driver = greedy.guests.driver
    watch = LockWatch(probe(), guests_group(greedy.guests.prefix), SystemClock())
    some, many = LOCKS_MAX // 4, LOCKS_MAX + LOCKS_MAX // 4
    assert await other.as_user(f"{program} {kind} {some}", limit_s=ROOM_S) == f"{some} 0"
    await watch.check()
    assert await driver.find(greedy.spec) is not None
    assert await greedy.as_user(f"{program} {kind} {many}", limit_s=ROOM_S) == f"{many} 0"
    used = await driver.memory(greedy.spec)
    assert used.used_bytes < many * 100, "they are charged to it, so it needs no watch"
    await watch.check()

    async def gone() -> bool:
        return await driver.find(greedy.spec) is None

    await until(gone, what="the end of the guest with too many locks")
    assert await driver.find(other.spec) is not None
    assert await other.as_user("echo fine") == "fine"


MANY = 400
"""Addresses: more than all else on a host would add meanwhile, and far from filling its table."""


@pytest.mark.parametrize("table", ["arp_cache", "ndisc_cache"])
async def test_a_user_fills_nothing_of_the_hosts_table_of_neighbours(
    real_guests: RealGuests, table: str
) -> None:
    spec = await real_guests.spec(1)
    wide = IPv4Interface(f"{spec.port.address.ip}/16")
    spec = replace(spec, port=replace(spec.port, address=wide))
    await real_guests.driver.launch(spec)
    attacker = Attacker(real_guests, spec)
    program = await attacker.build("neighbours")
    before = entries(table)
    sent = await attacker.as_user(f"{program} {wide.network[4096]} {MANY}")
    assert int(sent) > 0, "it reached nothing, so this shows nothing"
    assert entries(table) - before < MANY // 4


def entries(table: str) -> int:
    """How many neighbours the kernel knows in all network namespaces together."""
    first = Path(f"/proc/net/stat/{table}").read_text(encoding="ascii").splitlines()[1]
    return int(first.split()[0], 16)
