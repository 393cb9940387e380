"""A network of several nodes on this machine, each in a network namespace of its own.

    this process 198.18.N.254 ---- bridge ---- 198.18.N.1, 198.18.N.2, ... one per node

A node has the default ports on its address, and shares files and control groups with this process.
"""

import asyncio
import secrets
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tests.fixtures_netns import ip_batch
from tests.harness.farm import link_tree
from tests.harness.node import NodeProcess, new_node, test_root

JOIN_LIMIT_S = 60.0
PORTS = {"clients": 8443, "admin": 8444, "peer": 8445, "gossip": 8446}


class FarmNetwork:
    """The bridge and the namespaces behind it."""

    def __init__(self) -> None:
        self._tag = secrets.token_hex(2)
        self._net = f"198.18.{int(self._tag[:2], 16)}"
        self._bridge = f"qf{self._tag}"
        self._namespaces: list[str] = []

    @property
    def host(self) -> str:
        """The address of this process in it."""
        return f"{self._net}.254"

    @contextmanager
    def up(self) -> Iterator["FarmNetwork"]:
        """The bridge, for the time of the scope; the namespaces go with it."""
        ip_batch(
            f"link add {self._bridge} type bridge",
            f"addr add {self._net}.254/24 dev {self._bridge}",
            f"link set {self._bridge} up",
        )
        try:
            yield self
        finally:
            for name in self._namespaces:
                subprocess.run(["ip", "netns", "del", name], check=False)
            subprocess.run(["ip", "link", "del", self._bridge], check=False)

    def add_host(self) -> tuple[str, str, str]:
        """A host: its namespace, the link of it that is seen here, and its address."""
        number = len(self._namespaces) + 1
        name = f"qf{self._tag}-{number}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        self._namespaces.append(name)
        address, link = f"{self._net}.{number}", f"qf{self._tag}{number}"
        ip_batch(
            f"link add {link} type veth peer name eth0 netns {name}",
            f"link set {link} master {self._bridge} up",
        )
        ip_batch(
            "link set lo up",
            f"addr add {address}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {self._net}.254",
            netns=name,
        )
        return name, link, address

    def add(self, **settings: dict[str, Any]) -> NodeProcess:
        """A node on a host of its own, which is not started yet."""
        name, _, address = self.add_host()
        node = new_node(test_root(), **settings)
        node.netns, node.host = name, address
        for section, port in PORTS.items():
            node.settings[section] = {"address": address, "port": port, **settings.get(section, {})}
        return node


async def invite(node: NodeProcess) -> list[str]:
    """The arguments of the command that the node prints for a new host."""
    async with node.rest() as rest:
        made = await rest.post("/nodes/invite", {})
    program, *arguments = made["command"].split()
    assert program == "qvdnode"
    return list(arguments)


async def join(node: NodeProcess, arguments: list[str]) -> tuple[int, str]:
    """Run the command on the new host: its exit code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *node.command(*arguments, "--config", str(node.write_config())),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(JOIN_LIMIT_S):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


class Farm:
    """Nodes of one farm that serve; the first one made it."""

    def __init__(
        self, network: FarmNetwork, undo: AsyncExitStack, *, homes: Path | None = None
    ) -> None:
        """With `homes`, all nodes have that folder as their homes."""
        self.nodes: list[NodeProcess] = []
        self._network = network
        self._undo = undo
        self._homes = homes

    async def add(self, **settings: dict[str, Any]) -> NodeProcess:
        """One more node, removed with the farm."""
        node = self._network.add(**{name: dict(table) for name, table in settings.items()})
        if self._homes is not None:
            node.settings.setdefault("image", {})["homes_shared"] = True
            self._undo.enter_context(_mounted(self._homes, node))
        self._undo.push_async_callback(_removed, node)  # each, even when another cannot be removed
        if self.nodes:
            code, said = await join(node, await invite(self.nodes[0]))
            assert code == 0, said
        await node.start()
        self.nodes.append(node)
        # An administrator's token is the farm's; the harness looks for it at each node.
        (node.state_dir / "admin.token").write_text(self.nodes[0].admin_token)
        return node


async def _removed(node: NodeProcess) -> None:
    """Remove a node, also one that is stopped by SIGSTOP."""
    if node.process is not None and node.process.returncode is None:
        node.process.send_signal(signal.SIGCONT)
    await node.remove()


@contextmanager
def _mounted(homes: Path, node: NodeProcess) -> Iterator[None]:
    """The shared folder in place of the node's homes, as a mount of a file server would be."""
    own = node.state_dir / "homes"
    own.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(homes), str(own)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(own)], check=True)
        shutil.rmtree(node.state_dir, ignore_errors=True)


@asynccontextmanager
async def running_farm(
    count: int,
    *,
    dsn: str = "",
    network: FarmNetwork | None = None,
    homes: Path | None = None,
    **settings: dict[str, Any],
) -> AsyncIterator[Farm]:
    """A farm of so many nodes, removed at the end.

    Without a DSN the database is embedded in the first node. A network that is given is up already.
    """
    async with AsyncExitStack() as undo:
        farm = Farm(network or undo.enter_context(FarmNetwork().up()), undo, homes=homes)
        await farm.add(**settings, database={"dsn": dsn})
        for _ in range(count - 1):
            await farm.add(**settings)
        yield farm


def copy_images(source: NodeProcess, target: NodeProcess) -> None:
    """Give a node the images of another one."""
    for folder in (source.state_dir / "images").iterdir():
        link_tree(folder, target.state_dir / "images" / folder.name)
