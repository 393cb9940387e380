"""Network links, addresses and routes of the host by netlink; only module with pyroute2."""

import asyncio
import contextlib
import errno
import fcntl
import functools
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from pyroute2 import AsyncIPRoute  # type: ignore[import-untyped] # typed by this module
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]  # it has none

from qvdnode.host.network_namespaces import NetworkNamespace
from qvdnode.host.own_thread import in_own_thread
from qvdnode.model.errors import HostFailed

P = ParamSpec("P")
T = TypeVar("T")

SYSCTL_ROOT: Final = Path("/proc/sys/net")
IPV4: Final = 2
LOCAL_TABLE: Final = 255
UNICAST: Final = 1
TUN: Final = Path("/dev/net/tun")
_TUNSETIFF: Final = 0x400454CA
_TAP_FLAGS: Final = 0x2 | 0x1000 | 0x4000
"""A device of frames, without a header of its own but that of virtio, by which big frames pass."""
ORDINARY_GROUPS: Final = 0xFFF8
"""All reserved group addresses but the three that the kernel keeps for itself."""


@dataclass(frozen=True, slots=True)
class Link:
    """A network link as it is now."""

    index: int
    name: str
    kind: str
    """`bridge`, `veth`, `wireguard`...; empty for hardware."""
    mac: str
    master: int | None
    """Index of the bridge it is a port of."""


@dataclass(frozen=True, slots=True)
class GuestEnd:
    """The guest's end of its veth pair."""

    name: str
    mac: str
    address: IPv4Address
    gateway: IPv4Address


def _on_a_loop_of_its_own(
    work: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Run in a thread with an asyncio loop, since uvloop cannot open netlink sockets."""

    @functools.wraps(work)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(lambda: asyncio.run(work(*args, **kwargs)))

    return run


@_on_a_loop_of_its_own
async def all_links() -> list[Link]:
    """Every link of the namespace."""
    async with _netlink("list the network links") as netlink:
        return [_link(entry) async for entry in await netlink.link("dump")]


async def find_link(name: str) -> Link | None:
    """The link of that name."""
    return next((link for link in await all_links() if link.name == name), None)


@_on_a_loop_of_its_own
async def addresses(link: Link) -> list[IPv4Interface]:
    """The IPv4 addresses of a link."""
    async with _netlink(f"read the addresses of {link.name}") as netlink:
        return [
            IPv4Interface((entry.get("address"), entry.get("prefixlen")))
            async for entry in await netlink.addr("dump", family=IPV4)
            if entry.get("index") == link.index
        ]


@_on_a_loop_of_its_own
async def routes() -> list[tuple[IPv4Network, str]]:
    """Where IPv4 networks are reached: destination and name of the link, of every table."""
    known = {link.index: link.name for link in await all_links()}
    found: list[tuple[IPv4Network, str]] = []
    async with _netlink("read the routing tables") as netlink:
        async for entry in await netlink.route("dump", family=IPV4):
            if entry.get("type") != UNICAST or entry.get("table") == LOCAL_TABLE:
                continue
            destination = IPv4Network((entry.get("dst") or 0, entry.get("dst_len")))
            hops = entry.get("multipath") or [entry]
            found += [(destination, known.get(hop.get("oif"), "")) for hop in hops]
    return found


@_on_a_loop_of_its_own
async def create_bridge(name: str, mac: str, address: IPv4Interface) -> None:
    """Make a bridge without spanning tree and give it an address; it is not up yet.

    Frames to the reserved addresses 01:80:c2:00:00:0x are treated as any others. A bridge would
    otherwise learn from some of them before any packet rule can judge whether they are forged.
    """
    async with _netlink(f"make the bridge {name}") as netlink:
        await netlink.link(
            "add", ifname=name, kind="bridge", address=mac,
            br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0,
            br_group_fwd_mask=ORDINARY_GROUPS,
        )  # fmt: skip
        index = (await netlink.link_lookup(ifname=name))[0]
        await netlink.addr(
            "add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen
        )


async def create_veth(name: str, bridge: str, namespace: NetworkNamespace, guest: GuestEnd) -> None:
    """Make a veth pair: one end of that name, up and a port of the bridge, the other the guest's.

    The guest's end is in `namespace`, ready for use. The pair is gone with the namespace. Raises
    HostFailed; what was made until then goes with the namespace, too.
    """

    def work() -> None:
        asyncio.run(_create_pair(name, bridge, namespace, guest))
        namespace.enter()
        # No rule allows IPv6 out, and an IPv6 link would add neighbour table entries.
        set_link_options(guest.name, {"ipv6/disable_ipv6": 1})
        asyncio.run(_configure(guest))

    try:
        await in_own_thread(work, name="plug")
    except OSError as error:
        raise HostFailed(f"the link {name} cannot be made: {error.strerror}") from error


async def _create_pair(
    name: str, bridge: str, namespace: NetworkNamespace, guest: GuestEnd
) -> None:
    async with _netlink(f"make the link {name} on the bridge {bridge}") as netlink:
        (found,) = await netlink.link("get", ifname=bridge)
        mtu = found.get("mtu")
        peer = {
            "ifname": guest.name, "address": guest.mac, "mtu": mtu,
            "net_ns_fd": namespace.descriptor,
        }  # fmt: skip
        # High, since a bridge without an address of its own takes the lowest of its ports.
        mac = f"fe{guest.mac[2:]}"
        await netlink.link(
            "add", ifname=name, kind="veth", address=mac, mtu=mtu, master=found.get("index"),
            state="up", peer=peer,
        )  # fmt: skip


async def _configure(guest: GuestEnd) -> None:
    """In the guest's namespace. Nobody but the gateway is a neighbour.

    The kernel has one table of neighbours for the host and all guests, and a program could fill it
    by sending to every address of a network on its link.
    """
    async with _netlink(f"configure {guest.name} of a guest") as netlink:
        index, gateway = socket.if_nametoindex(guest.name), str(guest.gateway)
        await netlink.addr("add", index=index, address=str(guest.address), prefixlen=32)
        await netlink.link("set", index=index, state="up")
        await netlink.route("add", dst=f"{gateway}/32", oif=index, scope="link")
        await netlink.route("add", dst="default", gateway=gateway, oif=index)


async def create_tap(name: str, bridge: str, mac: str) -> int:
    """Make a network device for a machine, up and a port of the bridge; a descriptor of its end.

    The device is gone with its last descriptor. `mac` is the guest's. Raises HostFailed.
    """
    try:
        tap = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise HostFailed(f"{TUN} cannot be opened: {error.strerror}") from error
    try:
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode("ascii"), _TAP_FLAGS))
        set_link_options(name, {"ipv6/disable_ipv6": 1})
        await _join(name, bridge, mac)
    except BaseException as error:
        os.close(tap)
        if isinstance(error, OSError):
            raise HostFailed(f"the link {name} cannot be made: {error.strerror}") from error
        raise
    return tap


@_on_a_loop_of_its_own
async def _join(name: str, bridge: str, mac: str) -> None:
    async with _netlink(f"join {name} to the bridge {bridge}") as netlink:
        (found,) = await netlink.link("get", ifname=bridge)
        index = socket.if_nametoindex(name)
        # High, as that of a veth pair.
        await netlink.link("set", index=index, address=f"fe{mac[2:]}", mtu=found.get("mtu"))
        await netlink.link("set", index=index, master=found.get("index"), state="up")


@_on_a_loop_of_its_own
async def set_up(name: str) -> None:
    """Bring a link up."""
    async with _netlink(f"bring {name} up") as netlink:
        await netlink.link("set", ifname=name, state="up")


@_on_a_loop_of_its_own
async def attach(link: Link, bridge: Link) -> None:
    """Make a link a port of a bridge."""
    async with _netlink(f"attach {link.name} to {bridge.name}") as netlink:
        await netlink.link("set", index=link.index, master=bridge.index)


@_on_a_loop_of_its_own
async def remove_link(name: str) -> bool:
    """Remove a link (of a veth pair: both ends); False if there is none of that name."""
    try:
        async with _netlink(f"remove {name}") as netlink:
            await netlink.link("del", ifname=name)
    except NoSuchLink:
        return False
    return True


class NoSuchLink(HostFailed):
    """There is no link of that name (any more)."""


def set_link_options(name: str, options: Mapping[str, int], *, root: Path = SYSCTL_ROOT) -> None:
    """Write `family/option` settings of one link, such as `ipv4/arp_ignore`.

    An option that this kernel does not have is left out; raises HostFailed.
    """
    for option, value in options.items():
        family, _, leaf = option.partition("/")
        path = root / family / "conf" / name / leaf
        try:
            path.write_text(f"{value}\n", encoding="ascii")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HostFailed(f"{path} cannot be set to {value}: {error.strerror}") from error


def _link(entry: Any) -> Link:  # noqa: ANN401 - pyroute2 has no types
    return Link(
        index=entry.get("index"),
        name=entry.get("ifname"),
        kind=entry.get(("linkinfo", "kind")) or "",
        mac=entry.get("address") or "",
        master=entry.get("master"),
    )


@contextlib.asynccontextmanager
async def _netlink(purpose: str) -> AsyncIterator[Any]:
    try:
        async with AsyncIPRoute() as netlink:
            yield netlink
    except NetlinkError as error:
        kind = NoSuchLink if error.code == errno.ENODEV else HostFailed
        raise kind(f"the kernel refused to {purpose}: {error.args[-1]}") from error
