"""A small network in namespaces of its own: a node, the world outside, and guests.

    outside 192.0.2.1 ---- 192.0.2.2 node <bridge> guest, guest, ...
    storage 198.51.100.9 ---- 198.51.100.1 node

While a test runs, its thread stands in the node's namespace, so that the code under test takes
it for the host. Sockets belong to the namespace in which they were made and work from anywhere.
"""

import ctypes
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from qvdnode.host import forwarding
from qvdnode.host.forwarding import Forwarding
from qvdnode.model.guest import GuestPort
from qvdnode.model.ids import VmId
from qvdnode.net.bridge import GuestNetwork
from qvdnode.net.confinement import NftConfinement
from qvdnode.net.nft import Nft
from qvdnode.net.settings import NetSettings

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)

NODE_UPLINK = IPv4Address("192.0.2.2")
OUTSIDE = IPv4Address("192.0.2.1")
WORLD = IPv4Address("203.0.113.80")
METADATA = IPv4Address("169.254.169.254")
ALIBABA_METADATA = IPv4Address("100.100.100.200")
AZURE_WIRESERVER = IPv4Address("168.63.129.16")
STORAGE = IPv4Address("198.51.100.9")
NODE_STORAGE = IPv4Address("198.51.100.1")
SUBNET = IPv4Network("10.99.0.0/24")


def ip_batch(*commands: str, netns: str | None = None) -> None:
    """Run several commands of ip(8) in one process."""
    where = ["-n", netns] if netns else []
    subprocess.run(["ip", *where, "-batch", "-"], input="\n".join(commands), text=True, check=True)


def enter(name: str) -> None:
    """Move this thread into a named network namespace."""
    path = Path("/run/netns") / name
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns to {name} failed")
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Namespace:
    """A named network namespace."""

    name: str

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Stand in it for a while, and then where the thread stood before."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(self.name)
            yield
        finally:
            LIBC.setns(before, CLONE_NEWNET)
            os.close(before)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket of this namespace."""
        with self.entered():
            made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


@dataclass(frozen=True)
class Guest(Namespace):
    """A namespace that is attached to the bridge like a container; its root is the attacker."""

    port: GuestPort
    vm_id: VmId


@dataclass
class Lab:
    """The small network, with the code under test on its node."""

    mark: str
    settings: NetSettings
    records: Path
    node: Namespace
    outside: Namespace
    nft: Nft = field(default_factory=Nft)
    made: list[str] = field(default_factory=list)
    guests: list[Guest] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Put the parts of the node together."""
        self.rebuild()

    def rebuild(self) -> None:
        """Begin anew in memory, as a restarted node does."""
        self.network = GuestNetwork(self.settings, self.nft, Forwarding(self.records))
        self.confinement = NftConfinement(self.settings, self.nft)

    async def begin(self) -> None:
        """What a node does at start, with no guest running."""
        await self.network.up()
        await self.confinement.reconcile([])

    async def plug(self, vm_id: int, *, egress: bool = True, confined: bool = True) -> Guest:
        """Start a guest: rules first, then the veth pair as LXC makes it."""
        port = await self.confinement.reserve(VmId(vm_id), egress=egress)
        if confined:
            await self.confinement.confine(port)
        guest = Guest(f"{self.mark}-g{vm_id}", port, VmId(vm_id))
        self._add_namespace(guest.name)
        ip_batch(
            f"link add {port.link} type veth peer name eth0 netns {guest.name}",
            f"link set {port.link} master {self.settings.bridge_name} up",
            netns=self.node.name,
        )
        ip_batch(
            f"link set eth0 address {port.mac} up",
            "link set lo up",
            f"addr add {port.address} dev eth0",
            f"route add default via {port.gateway}",
            netns=guest.name,
        )
        self.guests.append(guest)
        return guest

    async def lift_rules(self) -> None:
        """Take our tables away, to see what would happen without them."""
        for family in ("bridge", "inet"):
            table = {"family": family, "name": f"qvdnode_{self.settings.prefix}"}
            await self.nft.change([{"add": {"table": table}}, {"delete": {"table": table}}])

    async def impose_rules(self) -> None:
        """Put them back, for all guests."""
        await self.confinement.reconcile([guest.port for guest in self.guests])

    def build(self) -> None:
        """Make the namespaces and the links between them."""
        for namespace in (self.node, self.outside):
            self._add_namespace(namespace.name)
        ip_batch(
            f"link add up0 type veth peer name eth0 netns {self.outside.name}",
            f"link add lan0 type veth peer name lan0 netns {self.outside.name}",
            "link set lo up",
            "link set up0 up",
            "link set lan0 up",
            f"addr add {NODE_UPLINK}/24 dev up0",
            f"addr add {NODE_STORAGE}/24 dev lan0",
            netns=self.node.name,
        )
        ip_batch(
            "link set lo up",
            "link set eth0 up",
            "link set lan0 up",
            f"addr add {OUTSIDE}/24 dev eth0",
            f"addr add {STORAGE}/24 dev lan0",
            f"addr add {WORLD}/32 dev lo",
            f"addr add {METADATA}/32 dev lo",
            f"addr add {ALIBABA_METADATA}/32 dev lo",
            f"addr add {AZURE_WIRESERVER}/32 dev lo",
            # so that guests could be reached from outside if the node let it be
            f"route add {SUBNET} via {NODE_UPLINK}",
            netns=self.outside.name,
        )
        ip_batch(f"route add default via {OUTSIDE}", netns=self.node.name)

    def tear_down(self) -> None:
        """Remove every namespace, and with them all that is inside."""
        for name in reversed(self.made):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def _add_namespace(self, name: str) -> None:
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.made.append(name)
        # A new namespace takes over the host's switch, which another node may have turned on.
        off = "echo 0 >/proc/sys/net/ipv4/ip_forward"
        subprocess.run(["ip", "netns", "exec", name, "sh", "-c", off], check=True)


def lab_settings(mark: str) -> NetSettings:
    """Settings of a node in the lab."""
    return NetSettings(prefix=mark, subnet=SUBNET, resolvers=(OUTSIDE,))


@pytest.fixture
def bare_lab(tmp_path: Path) -> Iterator[Lab]:
    """The namespaces, with nothing begun on the node."""
    mark = "t" + secrets.token_hex(2)
    lab = Lab(
        mark=mark,
        settings=lab_settings(mark),
        records=tmp_path / "forwarding",
        node=Namespace(f"{mark}-node"),
        outside=Namespace(f"{mark}-out"),
    )
    try:
        lab.build()
        with lab.node.entered():
            # A new namespace has the switch as the host has it, which may run another node.
            forwarding.SWITCH.write_text("0\n")
            yield lab
    finally:
        lab.tear_down()


@pytest.fixture
async def lab(bare_lab: Lab) -> Lab:
    """A node that has begun and has no guests yet."""
    await bare_lab.begin()
    return bare_lab


def with_settings(lab: Lab, **changes: object) -> None:
    """Give the node other settings, as after a change of its config."""
    lab.settings = replace(lab.settings, **changes)  # type: ignore[arg-type] # names are checked
    lab.rebuild()
