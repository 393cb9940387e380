"""Sockets that a guest can make: each family is attack surface, and some pass the packet rules."""

import errno
from collections import defaultdict

import pytest

from tests.attacks.attacker import Attacker

pytestmark = pytest.mark.lxc

UNIX, INET, INET6 = 1, 2, 10
WANTED = {UNIX, INET, INET6}
"""What desktops need. AF_VSOCK (40), for one, passes all rules of nftables, and what waits in a
netlink (16) socket is memory that is charged to nobody."""
WAYS = {"socket", "socketpair", "wide", "compat", "compat-pair", "call", "call-pair", "x32"}


async def families_by_way(attacker: Attacker, wrapper: str, *, root: bool) -> dict[str, set[int]]:
    """The families of which a socket was made, for each way into the kernel."""
    program = await attacker.build("sockets")
    shell = attacker.as_root if root else attacker.as_user
    made: defaultdict[str, set[int]] = defaultdict(set)
    for line in (await shell(f"{wrapper} {program}")).splitlines():
        way, family, code = line.split()
        made[way] |= {int(family)} if code == "0" else set()
    return made


@pytest.mark.parametrize(
    ("wrapper", "root"),
    [("", False), ("", True), ("unshare -Urn", False), ("unshare -Urn", True)],
    ids=["user", "root", "nested-user", "nested-root"],
)
async def test_only_the_families_of_desktops_can_be_made(
    attacker: Attacker, wrapper: str, root: bool
) -> None:
    made = await families_by_way(attacker, wrapper, root=root)
    assert set(made) == WAYS
    assert made["socket"] == WANTED
    assert made["socketpair"] == {UNIX}
    assert all(families <= WANTED for families in made.values()), made
    # By the old call of 32-bit programs the family lies in memory, where no filter sees it.
    assert made["call"] == made["call-pair"] == set()


async def test_a_refused_family_is_one_that_the_kernel_does_not_know(attacker: Attacker) -> None:
    program = await attacker.build("sockets")
    answers = (await attacker.as_user(program)).splitlines()
    assert f"socket 40 {errno.EAFNOSUPPORT}" in answers


async def test_sandboxes_of_browsers_still_have_their_namespaces(attacker: Attacker) -> None:
    assert await attacker.as_user("unshare -U id -u") == "65534"
    assert await attacker.as_user("unshare -Urnpf id -u") == "0"


async def test_nobody_makes_links_in_a_network_namespace_of_their_own(attacker: Attacker) -> None:
    """It would hold the lock for the network of the host: other desktops took 20 s to start."""
    make = (
        'use Socket; socket(my $s, AF_INET, SOCK_DGRAM, 0) or die; my $name = "own";'
        "for my $wide (0, 1 << 32) {"
        "  $! = 0; syscall(16, fileno($s), $wide | 0x89a0, $name); print $! + 0, q( ) }"
    )
    assert await attacker.as_user(f"unshare -Urn perl -e '{make}'") == "1 1"
