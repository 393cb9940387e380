"""A real node in a process of its own, on a state folder and names of its own."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from qvdnode.daemon.announcement import Announcement, read
from qvdnode.host.id_reservations import SPARE, unused
from qvdnode.host.record_folder import locked
from qvdnode.model.guest import IDS_PER_GUEST
from tests.harness.rest import Rest

ID_SLOTS: Final = 1024
READY_LIMIT_S: Final = 60.0
STOP_LIMIT_S: Final = 90.0
LAST_LOG: Final = "last-node.log"
CLAIMS: Final = "ids"
"""Beside the state folders: a file a node, with the first id of its guests."""
UNIT: Final = Path(__file__).parents[2] / "packaging" / "qvdnode.service"
HARSH_UMASK: Final = 0o077
"""Some roots have it; guests must get at what is theirs all the same."""
"""What the node that was removed last had written, for whoever looks into a failed test."""


def fewer_rights() -> list[str]:
    """Before a command: it gets the capabilities that the service's unit leaves it."""
    lines = [line for line in UNIT.read_text().splitlines() if line.startswith("CapabilityB")]
    words = [word for line in lines for word in line.partition("=")[2].split()]
    kept = ",".join(f"+{word.removeprefix('CAP_').lower()}" for word in words)
    return ["setpriv", f"--bounding-set=-all,{kept}", "--inh-caps=-all", "--"]


@dataclass
class NodeProcess:
    """Starts, stops and kills one `qvdnode serve`."""

    state_dir: Path
    prefix: str
    subnet: str
    id_base: int
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    program: tuple[str, ...] = ("-m", "qvdnode")
    """What Python runs; it takes the arguments of `qvdnode`."""
    files_max: int | None = None
    """The limit of open files that it is started with; None is the test's own."""
    netns: str = ""
    """The network namespace that it runs in; empty for the test's own."""
    host: str = "127.0.0.1"
    """The address that it is dialled at."""
    stop_limit_s: float = STOP_LIMIT_S
    """How long it may take to stop, with its guests if they stop too."""
    process: asyncio.subprocess.Process | None = None
    said: Announcement | None = None

    @property
    def log(self) -> Path:
        """What the node wrote."""
        return self.state_dir / "test-node.log"

    def write_config(self) -> Path:
        """The node's configuration file, from the defaults of a test and `settings`."""
        sections: dict[str, dict[str, Any]] = {
            "node": {
                "name": f"test-{self.prefix}",
                "state_dir": str(self.state_dir),
                "prefix": self.prefix,
            },
            "clients": {"address": "127.0.0.1", "port": 0},
            "admin": {"address": "127.0.0.1", "port": 0},
            "peer": {"address": "127.0.0.1", "port": 0},
            "gossip": {"address": "127.0.0.1", "port": 0},
            "network": {"subnet": self.subnet},
            "vm": {"id_base": self.id_base, "id_slots": ID_SLOTS},
            # KSM is the whole host's: other tests run beside this one.
            "memory": {"ksm": "off"},
            "log": {"format": "json", "level": "info"},
        }
        for name, table in self.settings.items():
            sections.setdefault(name, {}).update(table)
        text = "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in t.items())
            for name, t in sections.items()
        )
        tomllib.loads(text)
        path = self.state_dir / "node.toml"
        path.write_text(text, encoding="utf-8")
        return path

    async def start(self, *, wait: bool = True) -> None:
        """Start the process and return when it serves."""
        config = self.write_config()
        limit = () if self.files_max is None else ("prlimit", f"--nofile={self.files_max}")
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *limit,
                *self.command("serve", "--config", str(config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=HARSH_UMASK,
            )
        if wait:
            await self.serving()

    def command(self, *arguments: str) -> list[str]:
        """A command of `qvdnode` on the node's host, with the rights that the service has."""
        where = ["nsenter", f"--net=/run/netns/{self.netns}"] if self.netns else []
        return [*where, *fewer_rights(), sys.executable, *self.program, *arguments]

    async def serving(self) -> Announcement:
        """Wait for the node to announce itself."""
        process = self.process
        if process is None:
            raise AssertionError("not started")
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                while True:
                    said = read(self.state_dir)
                    if said is not None and said.pid == process.pid:
                        self.said = said
                        return said
                    if process.returncode is not None:
                        raise AssertionError(f"the node ended: {self.last_words()}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"the node does not serve: {self.last_words()}") from None

    def last_words(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def last_events(self) -> str:
        """The end of the log, but for what every request writes."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([line for line in lines if "admin_request" not in line][-40:])

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's events of one name."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and event.get("event") == name:
                    found.append(event)
        return found

    @property
    def ids(self) -> range:
        """The host ids that its guests may have."""
        return range(self.id_base, self.id_base + ID_SLOTS * IDS_PER_GUEST)

    @property
    def client_port(self) -> int:
        """Where QVD clients dial."""
        assert self.said is not None
        return self.said.client_port

    @property
    def admin_token(self) -> str:
        """The first admin token."""
        return (self.state_dir / "admin.token").read_text().strip()

    def rest(self) -> Rest:
        """A client of the node's REST, to be used as a context."""
        assert self.said is not None
        return Rest(f"https://{self.host}:{self.said.admin_port}", self.admin_token)

    async def sigkill(self) -> None:
        """End the process as a crash would; its guests run on."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Ask it to end, as systemd does; its exit code."""
        if self.process is None:
            return 0
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(self.stop_limit_s):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
                raise AssertionError(f"the node does not stop: {self.last_words()}") from None
        return self.process.returncode or 0

    async def remove(self) -> None:
        """Stop the node with its guests and remove all that it made."""
        if self.process is None or self.process.returncode is not None:
            self.settings.setdefault("node", {})["stop_guests"] = True
            if (self.state_dir / "pg").exists() or (self.state_dir / "state").exists():
                await self.start()
        else:
            self.settings.setdefault("node", {})["stop_guests"] = True
            if not self._stops_guests():
                await self.stop()
                await self.start()
        await self.stop()
        shutil.copy(self.log, self.state_dir.parent / LAST_LOG)
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def _stops_guests(self) -> bool:
        config = tomllib.loads((self.state_dir / "node.toml").read_text())
        return bool(config["node"].get("stop_guests", False))


def new_node(root: Path, **settings: dict[str, Any]) -> NodeProcess:
    """A node that is not started yet, with names nobody else on this host has.

    Its ids are its own while its state folder exists: a node that is stopped has reserved none.
    """
    with locked(root, "test nodes cannot be made"):
        tag = secrets.token_hex(2)
        while any(root.glob(f"node-{tag[:3]}*")):
            tag = secrets.token_hex(2)
        number = int(tag[:3], 16)
        ids = _ids_of_nobody(root, seed=number)
        state_dir = root / f"node-{tag}"
        state_dir.mkdir()
        state_dir.chmod(0o755)
        _claim(root, state_dir).write_text(str(ids.start))
    subnet = f"10.{200 + number % 50}.{(number // 50 % 125) * 2}.0/23"
    return NodeProcess(state_dir, f"t{tag[:3]}", subnet, ids.start, dict(settings))


def _claim(root: Path, state_dir: Path) -> Path:
    """The file that claims the node's ids; it counts while the state folder exists."""
    folder = root / CLAIMS
    folder.mkdir(exist_ok=True)
    return folder / state_dir.name


def _ids_of_nobody(root: Path, *, seed: int) -> range:
    """Ids that neither a node of the host nor a test node that is stopped has."""
    taken = set()
    for state_dir in root.glob("node-????"):
        with contextlib.suppress(FileNotFoundError):  # it was removed just now
            taken.add(int(_claim(root, state_dir).read_text()))
    count = ID_SLOTS * IDS_PER_GUEST
    for step in range(len(SPARE) // count):
        ids = unused(count, seed=seed + step)
        if ids.start not in taken:
            return ids
    raise AssertionError(f"the nodes in {root} have all ids; remove those of earlier runs")


@contextlib.asynccontextmanager
async def running_node(root: Path, **settings: dict[str, Any]) -> AsyncIterator[NodeProcess]:
    """A node that serves, removed at the end with all that it made."""
    node = new_node(root, **settings)
    try:
        await node.start()
        yield node
    finally:
        await node.remove()


def test_root() -> Path:
    """Where test nodes keep their state: shifted ids can enter it, unlike the folders of pytest."""
    return Path(os.environ.get("QVDNODE_TEST_STATE", "/var/lib/qvdnode-test")) / "run"
