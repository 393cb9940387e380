"""The root of a real unprivileged container, with all capabilities over its own namespaces."""

import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from qvdnode.model.guest import GuestPort
from qvdnode.model.ids import VmId
from tests.fixtures_netns import NODE_UPLINK, WORLD, Lab, ip_batch
from tests.integration.net.sockets import tcp_listener, udp_listener

pytestmark = [pytest.mark.nftables, pytest.mark.lxc]

ENEMY = Path(__file__).with_name("hostile_guest.py")
PORT = 5353
BASE_ID = 0x7FFF0000
"""The topmost slot of the range for guests, far from those a node gives out first."""
SEARCH_PATH = "/usr/sbin:/sbin"
"""Without newuidmap in it, LXC writes the id map itself and asks no file for leave."""
CONFIG = """
lxc.uts.name = hostile_guest
lxc.rootfs.path = dir:{root}
lxc.init.cmd = /usr/bin/sleep infinity
lxc.idmap = u 0 {base} 65536
lxc.idmap = g 0 {base} 65536
lxc.mount.auto = proc:mixed sys:mixed
lxc.mount.entry = /usr usr none bind,ro 0 0
lxc.net.0.type = veth
lxc.net.0.veth.pair = {port.link}
lxc.net.0.flags = up
lxc.net.0.name = eth0
lxc.net.0.hwaddr = {port.mac}
lxc.net.0.ipv4.address = {port.address}
lxc.net.0.ipv4.gateway = {port.gateway}
"""


@dataclass(frozen=True)
class Container:
    """A container of LXC, made of the host's own programs."""

    name: str
    folder: Path

    def start(self, port: GuestPort, bridge: str) -> None:
        """Start it on a bridge of the namespace in which this thread stands.

        The bridge is not named to LXC, which looks for it in the sysfs of another namespace.
        """
        config = self.folder / "config"
        config.write_text(CONFIG.format(root=self.folder / "root", base=BASE_ID, port=port))
        self.lxc("start", "-d", "-f", str(config), "-o", str(self.folder / "log"), "-l", "INFO")
        ip_batch(f"link set {port.link} master {bridge} up")

    def attack(self, *arguments: object) -> dict[str, object]:
        """Run hostile_guest.py as its root and read what it achieved."""
        words = [str(argument) for argument in arguments]
        outcome = self.lxc("attach", "--", "/usr/bin/python3", "-I", "/hostile_guest.py", *words)
        found: dict[str, object] = json.loads(outcome)
        return found

    def lxc(self, verb: str, *words: str) -> str:
        """One of LXC's programs."""
        argv = [f"/usr/bin/lxc-{verb}", "-n", self.name, "-P", str(self.folder), *words]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env={"PATH": SEARCH_PATH}
        )
        log = self.folder / "log"
        words_of_lxc = log.read_text()[-2000:] if log.exists() else ""
        assert done.returncode == 0, f"{argv}: {done.stderr}{words_of_lxc}"
        return done.stdout


@pytest.fixture
def container() -> Iterator[Container]:
    """A folder that shifted ids can reach, and the container in it, gone at the end."""
    name = f"qvdtest-{secrets.token_hex(4)}"
    folder = Path("/var/tmp") / name
    made = Container(name, folder)
    for part in ("proc", "sys", "dev", "tmp", "usr", "etc"):
        (folder / "root" / part).mkdir(parents=True)
    for link in ("bin", "sbin", "lib", "lib64"):
        (folder / "root" / link).symlink_to(f"usr/{link}")
    shutil.copy(ENEMY, folder / "root" / "hostile_guest.py")
    for path in (folder / "root", *(folder / "root").iterdir()):
        os.lchown(path, BASE_ID, BASE_ID)
    folder.chmod(0o755)
    try:
        yield made
    finally:
        subprocess.run(
            ["/usr/bin/lxc-stop", "-k", "-n", name, "-P", str(folder)],
            check=False, capture_output=True,
        )  # fmt: skip
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Rampage:
    """What an hostile_guest achieved."""

    reached: dict[str, object]
    heard_outside: list[bytes]


class AnsweringWorld(asyncio.DatagramProtocol):
    """Answers each question, and remembers all that came."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are sent by."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer."""
        self.heard.append(data)
        assert self._transport is not None
        self._transport.sendto(b"answer", addr)


async def rampage(lab: Lab, container: Container, *, rules: bool) -> Rampage:
    """Let a guest's root loose beside a neighbour, with our rules or without."""
    neighbour = await lab.plug(2)
    port = await lab.confinement.reserve(VmId(1), egress=True)
    await lab.confinement.confine(port)
    if not rules:
        await lab.lift_rules()
    container.start(port, lab.settings.bridge_name)
    listening = lab.outside.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind((str(WORLD), PORT))
    loop = asyncio.get_running_loop()
    transport, world = await loop.create_datagram_endpoint(AnsweringWorld, sock=listening)
    with (
        tcp_listener(lab.node, PORT),
        tcp_listener(neighbour, PORT),
        tcp_listener(neighbour, 4100),
    ):
        found = await asyncio.to_thread(
            container.attack, port.gateway, NODE_UPLINK, neighbour.port.address.ip, WORLD, PORT
        )
    transport.close()
    return Rampage(found, world.heard)


async def test_root_of_a_real_guest_gets_to_the_world_and_nowhere_else(
    lab: Lab, container: Container
) -> None:
    done = await rampage(lab, container, rules=True)
    assert done.reached == {
        "uid": 0,
        "world": True,
        "gateway": False,
        "node": False,
        "neighbour": False,
        "neighbours_display": False,
        "world_as_another": False,
    }
    assert done.heard_outside == [b"question"]
    dropped = await lab.confinement.dropped()
    for reason in ("drop_to_node", "drop_arp", "drop_ipv4", "drop_mac"):
        assert dropped[reason] > 0, reason


async def test_without_rules_it_would_get_everywhere(lab: Lab, container: Container) -> None:
    done = await rampage(lab, container, rules=False)
    assert done.reached.pop("uid") == 0
    assert all(done.reached.values()), done.reached
    assert done.heard_outside == [b"question", b"forged", b"question"]


async def test_release_cuts_a_guest_that_still_runs(lab: Lab, container: Container) -> None:
    port = await lab.confinement.reserve(VmId(1), egress=True)
    await lab.confinement.confine(port)
    container.start(port, lab.settings.bridge_name)
    await lab.confinement.release(VmId(1), port)
    with udp_listener(lab.outside, PORT) as listener:
        code = f"import socket; socket.socket(2, 2).sendto(b'q', ('{WORLD}', {PORT}))"
        with pytest.raises(AssertionError, match="unreachable"):
            container.lxc("attach", "--", "/usr/bin/python3", "-I", "-c", code)
        assert not listener.heard(b"q")
