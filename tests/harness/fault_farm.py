"""A farm for faults: its database is reached over the network, and its homes are shared.

this process, PostgreSQL at 198.18.N.254:5432 ---- bridge ---- one namespace per node
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from qvdnode.daemon.config import GUEST_NAME
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.postmaster import server_pid
from qvdnode.db.settings import DatabaseSettings
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.core.lxc_config import guests_group
from tests.harness.farm import Desk, lend_image, make_desk, make_flavour
from tests.harness.farm_network import FarmNetwork, copy_images, running_farm
from tests.harness.node import NodeProcess, test_root
from tests.waiting import until

DATABASE_PORT = 5432
TABLE = "faults"
HOOK = "type filter hook input priority 0 ; policy accept"


class FaultDatabase:
    """PostgreSQL, and a port that leads to its socket: a node cut off from the port has none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = EmbeddedPostgres(
            DatabaseSettings(state_dir=folder, connections_max=90), SystemClock()
        )
        self._streams: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self, host: str) -> AsyncIterator[str]:
        """Its DSN, for the time of the scope."""
        await self._server.start()
        await self._server.stop()
        self._leave("postgresql.auto.conf", "wal_level = replica\nrestore_command = 'false'\n")
        await self._server.start()
        over, ready = threading.Event(), threading.Event()
        # A loop of its own: what blocks the test's must not cut off the nodes.
        relay = threading.Thread(target=lambda: asyncio.run(self._relay(host, ready, over)))
        relay.start()
        try:
            await asyncio.to_thread(ready.wait)
            yield f"postgresql://qvdnode_node@{host}:{DATABASE_PORT}/qvdnode?sslmode=disable"
        finally:
            over.set()
            await asyncio.to_thread(relay.join)
            await self._server.stop()

    async def _relay(self, host: str, ready: threading.Event, over: threading.Event) -> None:
        """Listen until it is over."""
        try:
            port = await asyncio.start_server(self._carry, host, DATABASE_PORT)
        finally:
            ready.set()
        async with port:
            await asyncio.to_thread(over.wait)
            for writer in list(self._streams):
                writer.transport.abort()

    async def restart(self, away_s: float) -> None:
        """Stop the server, and start it after that time."""
        await self._server.stop()
        await lasts(away_s)
        await self._server.start()

    async def promote(self, away_s: float) -> None:
        """End the server without a checkpoint; after that time it is on another timeline.

        So it is for the nodes when the primary dies and its synchronous standby, which has all
        that was committed, is promoted.
        """
        pid = server_pid(self._folder)
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        await until(lambda: server_pid(self._folder) is None, what="the server to be gone")
        self._leave("recovery.signal")
        await lasts(away_s)
        await self._server.start()

    def _leave(self, name: str, content: str = "") -> None:
        """A file in the data folder, for the next start."""
        data = self._folder / "pg" / "data"
        (data / name).write_text(content)
        owner = data.stat()
        os.chown(data / name, owner.st_uid, owner.st_gid)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_unix_connection(self._server.socket_file)
        except OSError:
            writer.transport.abort()
            return
        ends = (writer, there[1])
        self._streams.update(ends)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, there[1]))
                group.create_task(_copy(there[0], writer))
        finally:
            for end in ends:
                end.transport.abort()
                self._streams.discard(end)


async def lasts(seconds: float) -> None:
    """Let a fault last for so long."""
    await SystemClock().sleep(seconds)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@dataclass(slots=True)
class FaultFarm:
    """Nodes that serve, and desktops that may be taken over at once."""

    nodes: list[NodeProcess]
    desks: list[Desk]
    database: FaultDatabase
    database_host: str

    def guests(self) -> dict[str, str]:
        """The control group of all guests of each node, by the node's name."""
        return {
            f"test-{node.prefix}": guests_group(f"{node.prefix}{GUEST_NAME}") for node in self.nodes
        }


@contextmanager
def dropping(node: NodeProcess, *rules: str) -> Iterator[None]:
    """Packets that come in at the node and match a rule of nft are lost."""
    prefix = ["nsenter", f"--net=/run/netns/{node.netns}", "nft"]
    lines = "\n".join((HOOK, *rules))
    text = f"table inet {TABLE} {{\nchain lost {{\n{lines}\n}}\n}}\n"
    subprocess.run([*prefix, "-f", "-"], input=text, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run([*prefix, "delete", "table", "inet", TABLE], check=True)


def lossy(percent: int) -> str:
    """A rule that loses so many packets of a hundred, but for the node's own."""
    return f'iifname "eth0" numgen random mod 100 < {percent} drop'


def cut_off() -> str:
    """A rule that loses all packets from other hosts."""
    return 'iifname "eth0" drop'


def without_database(host: str) -> str:
    """A rule that loses what the database answers."""
    return f"ip saddr {host} tcp sport {DATABASE_PORT} drop"


@asynccontextmanager
async def fault_farm(count: int, desks: int, image_root: Path) -> AsyncIterator[FaultFarm]:
    """So many nodes and desktops; all of it is removed in the end."""
    folder = test_root() / f"faults-{secrets.token_hex(3)}"
    async with AsyncExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        for part in (folder, homes := folder / "homes", folder / "database"):
            part.mkdir(mode=0o711, parents=True)
            part.chmod(0o711)
        network = undo.enter_context(FarmNetwork().up())
        database = FaultDatabase(folder / "database")
        dsn = await undo.enter_async_context(database.serving(network.host))
        farm = await undo.enter_async_context(
            running_farm(count, dsn=dsn, network=network, homes=homes, node={"stop_guests": True})
        )
        nodes = farm.nodes
        async with nodes[0].rest() as rest:
            await lend_image(nodes[0], rest, "icewm", image_root)
            flavour = await make_flavour(rest, "office", "icewm", takeover="at_once")
            made = [await make_desk(nodes[0], rest, f"user{it}", flavour) for it in range(desks)]
        for node in nodes[1:]:
            copy_images(nodes[0], node)
        yield FaultFarm(nodes, made, database, network.host)
