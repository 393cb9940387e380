"""What guests and helpers have open: nothing of the program that started them.

The node has changed packet rules before, so that libnftables' socket is open, which the library
does not mark as closed on exec.
"""

import contextlib
import os
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from qvdnode.host import process
from tests.attacks.attacker import PROGRAMS, USER
from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import guest_pids, pids_by_name
from tests.e2e.test_closed_window import qvd_connect
from tests.harness.farm import Desk, until_vm
from tests.harness.lxc_attach import attach_argv
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

STANDARD = {0, 1, 2}


@dataclass(frozen=True)
class Shown:
    """A desktop that our client shows."""

    desk: Desk
    client: int
    """The client's pid."""
    spare: int
    """Inode of a file that the client was started with."""


@pytest_asyncio.fixture(loop_scope="session")
async def shown(make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path) -> AsyncIterator[Shown]:
    """A second guest of the node, so that rules were changed for another before it started."""
    before, desk = await make(), await make()
    async with before.dial() as connection:
        assert (await connection.connect(before.vm_id)).status == 101
    with (tmp_path / "spare").open("w") as spare:
        inode = os.fstat(spare.fileno()).st_ino
        async with qvd_connect(desk, screen.display, tmp_path, pass_fds=(spare.fileno(),)) as (
            client,
            _,
        ):
            await until_vm(rest, desk.vm_id, display="connected")
            await until(lambda: "icewm" in pids_by_name(desk, {"icewm"}), what="the desktop")
            yield Shown(desk, client.pid, inode)


def descriptors(pid: int) -> dict[int, os.stat_result]:
    """What a process has open, by number."""
    return dict(_opened(pid))


def own_objects(pid: int) -> set[tuple[int, int]]:
    """Device and inode of each socket, pipe, file and folder that a process has open.

    Left out is what two processes may have in common that opened it each for itself: device nodes,
    and what the kernel calls anonymous (descriptors of events and of processes).
    """
    return {
        (facts.st_dev, facts.st_ino)
        for number, facts in _opened(pid)
        if not stat.S_ISCHR(facts.st_mode) and not _is_anonymous(pid, number)
    }


def _opened(pid: int) -> Iterator[tuple[int, os.stat_result]]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            yield int(entry.name), entry.stat()


def _is_anonymous(pid: int, number: int) -> bool:
    try:
        return str(Path(f"/proc/{pid}/fd/{number}").readlink()).startswith("anon_inode:")
    except FileNotFoundError:
        return True


def netfilter_sockets(pid: int) -> set[int]:
    """Inodes of the netfilter sockets of the process's network namespace that it has open."""
    lines = Path(f"/proc/{pid}/net/netlink").read_text().splitlines()[1:]
    known = {int(line.split()[9]) for line in lines if line.split()[1] == "12"}
    return known & {facts.st_ino for facts in descriptors(pid).values()}


def parent(pid: int) -> int:
    """Whose child it is: of a guest's first process, LXC's monitor."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def below(pid: int, name: str) -> list[int]:
    """Those of that name among a process's children and theirs: a sandbox is in between."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = [int(child) for child in children if _comm(int(child)) == name]
    return found + [further for child in children for further in below(int(child), name)]


def _comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def user_namespace(pid: int) -> tuple[int, int]:
    """That of a guest, which the node keeps for the next guest and LXC opens for itself."""
    facts = Path(f"/proc/{pid}/ns/user").stat()
    return facts.st_dev, facts.st_ino


async def test_guests_and_helpers_have_nothing_open_of_the_nodes(shown: Shown) -> None:
    running = shown.desk.node.process
    assert running is not None
    assert netfilter_sockets(running.pid), "libnftables has no socket open; this tests nothing"
    nodes = own_objects(running.pid)
    guest = guest_pids(shown.desk)
    database = int((shown.desk.node.state_dir / "pg/data/postmaster.pid").read_text().split()[0])
    monitor = parent(guest[0])
    for pid in (*guest, monitor, database):
        known = {user_namespace(guest[0])} if pid == monitor else set()
        assert own_objects(pid) & nodes <= known, f"{_comm(pid)} has a descriptor of the node"
    assert set(descriptors(guest[0])) <= STANDARD


async def test_nxproxy_has_nothing_open_of_the_clients(shown: Shown) -> None:
    client = descriptors(shown.client)
    assert shown.spare in {facts.st_ino for facts in client.values()}
    viewers = below(shown.client, "nxproxy")
    assert viewers
    for pid in viewers:  # it forks
        inherited = [facts for number, facts in _opened(pid) if number not in STANDARD]
        assert {facts.st_ino for facts in inherited if not stat.S_ISCHR(facts.st_mode)} & {
            facts.st_ino for facts in client.values()
        } == set()


async def test_a_user_finds_no_netfilter_socket_to_take(shown: Shown) -> None:
    """By pidfd_getfd, of any process of the guest that it may look into."""
    desk = shown.desk
    target = Path(f"/proc/{guest_pids(desk)[0]}/root/usr/local/bin/descriptor_thief")
    await process.run(["tcc", "-Wall", "-o", target, PROGRAMS / "descriptor_thief.c"])
    target.chmod(0o755)
    prefix = f"{desk.node.prefix}qvd"
    done = await process.run(
        [
            *attach_argv(prefix, f"{prefix}-{desk.vm_id}", desk.node.state_dir / "lxc"),
            f"--uid={USER}", f"--gid={USER}", "--", "/usr/local/bin/descriptor_thief",
        ],
        limit_s=30,
    )  # fmt: skip
    lines = done.stdout.decode().splitlines()
    assert int(lines[-1].removeprefix("processes ")) >= len({"nxagent", "icewm"})
    assert lines[:-1] == []
