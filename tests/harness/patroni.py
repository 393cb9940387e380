"""Three database hosts as docs/patroni describes them, each in a network namespace of its own."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qvdnode.db.postgres_binaries import find_binaries, usable_by
from qvdnode.host.system_account import SystemAccount, ensure_account, own_folder
from tests.harness.farm_network import FarmNetwork
from tests.waiting import until

DOCS = Path(__file__).parents[2] / "docs" / "patroni"
PATRONI = "patroni[etcd3,psycopg3]==4.1.5"
START_LIMIT_S = 90.0
SYNC_LIMIT_S = 180.0
SECRETS = {"SUPERUSER-SECRET": "test-super", "REPLICATOR-SECRET": "test-replica"}
FARM_SECRET = "test-farm"
READY = "SELECT NOT pg_is_in_recovery()"


def patroni_environment(folder: Path) -> Path:
    """The Python environment with Patroni, made once; where its programs are."""
    programs = folder / "bin"
    if not (programs / "patroni").exists():
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(programs / "pip"), "install", "--quiet", PATRONI], check=True)
    return programs


def etcd_program(folder: Path) -> Path:
    """Debian's etcd, unpacked and not installed: no service begins to run."""
    program = folder / "usr" / "bin" / "etcd"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", "etcd-server"], cwd=folder, check=True)
        (package,) = folder.glob("etcd-server_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    return program


@dataclass
class DatabaseHost:
    """One of the three."""

    name: str
    netns: str
    link: str
    """Its end of the link, in this process's namespace."""
    address: str
    folder: Path
    account: SystemAccount
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def run(self, *command: str, log: str) -> None:
        """Start a program there, as the database's account."""
        with (self.folder / log).open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                "nsenter", f"--net=/run/netns/{self.netns}",
                *self.account.command(command[0], *command[1:]),
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=self.folder, start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
            )  # fmt: skip
        self.processes.append(process)

    def state(self) -> str:
        """What Patroni says it is: `primary`, `replica`, or nothing."""
        try:
            with urllib.request.urlopen(f"http://{self.address}:8008/patroni", timeout=2) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            said = json.load(error)
        except (OSError, ValueError):
            return ""
        return str(said.get("role", "")) if said.get("state") == "running" else ""

    def die(self) -> None:
        """The host loses its network and its power: nobody is told."""
        subprocess.run(["ip", "link", "set", self.link, "down"], check=True)
        self.kill()

    def kill(self) -> None:
        """End all that runs there."""
        for pid in self._pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _pids(self) -> list[int]:
        said = subprocess.run(
            ["ip", "netns", "pids", self.netns], capture_output=True, text=True, check=True
        )
        return [int(pid) for pid in said.stdout.split()]

    async def ended(self) -> None:
        """Wait for the programs that were started."""
        for process in self.processes:
            await process.wait()
        self.processes.clear()


class Cluster:
    """etcd, Patroni and PostgreSQL on three hosts."""

    def __init__(self, hosts: list[DatabaseHost], tools: Path) -> None:
        self.hosts = hosts
        self._etcd = etcd_program(tools / "etcd")
        self._patroni = patroni_environment(tools / "patroni")

    @property
    def dsn(self) -> str:
        """As docs/patroni names it."""
        at = ",".join(host.address for host in self.hosts)
        return f"postgresql://qvdnode:{FARM_SECRET}@{at}/qvdnode?target_session_attrs=read-write"

    def leader(self) -> DatabaseHost | None:
        """The host that is the primary now."""
        found = [host for host in self.hosts if host.state() in ("primary", "master")]
        return found[0] if len(found) == 1 else None

    async def start(self, host: DatabaseHost) -> None:
        """Start what runs on a host, from the files in docs/patroni."""
        await host.run("env", *self._etcd_settings(host), str(self._etcd), log="etcd.log")
        config = host.folder / "patroni.yml"
        await host.run(str(self._patroni / "patroni"), str(config), log="patroni.log")

    def _etcd_settings(self, host: DatabaseHost) -> list[str]:
        block = re.search(r"```sh\n(ETCD_NAME.*?)```", (DOCS / "README.md").read_text(), re.DOTALL)
        assert block is not None
        return [self._of(host, line) for line in block.group(1).split()]

    def _of(self, host: DatabaseHost, text: str) -> str:
        """A text of the documentation, which is the first host's, as that host has it."""
        own = {"db1": host.name, "192.0.2.11": host.address}
        if "INITIAL_CLUSTER=" in text or "hosts:" in text:
            own = {}
        for number, other in enumerate(self.hosts, start=1):
            own.setdefault(f"192.0.2.1{number}", other.address)
        own["192.0.2.0/24"] = f"{host.address.rpartition('.')[0]}.0/24"
        own["/var/lib/etcd/qvdnode"] = str(host.folder / "etcd")
        pattern = "|".join(re.escape(word) for word in sorted(own, key=len, reverse=True))
        return re.sub(pattern, lambda found: own[found.group()], text)

    async def prepare(self) -> None:
        """Write every host's patroni.yml."""
        for host in self.hosts:
            own_folder(host.folder, host.account)
            binaries = await usable_by(await find_binaries(None), host.account, host.folder)
            lines = (DOCS / "patroni.yml").read_text().splitlines()
            text = "\n".join(self._of(host, line) for line in lines)
            for word, instead in {
                **SECRETS,
                "/var/lib/postgresql/15/qvdnode": str(host.folder / "data"),
                "/usr/lib/postgresql/15/bin": str(binaries.root / "bin"),
                "/var/lib/postgresql/pgpass": str(host.folder / "pgpass"),
                "/var/run/postgresql": str(host.folder),
            }.items():
                assert word in text, word
                text = text.replace(word, instead)
            (host.folder / "patroni.yml").write_text(text + "\n")

    async def found(self) -> DatabaseHost:
        """The leader, once there is one."""

        async def leads() -> DatabaseHost | None:
            return await asyncio.to_thread(self.leader)

        found = await until(leads, limit_s=START_LIMIT_S, what="a leader")
        assert isinstance(found, DatabaseHost)
        return found

    async def in_sync(self) -> bool:
        """Whether both standbys follow, and one has all that was committed."""
        leader = await asyncio.to_thread(self.leader)
        if leader is None:
            return False
        said = await self.sql(leader, "SELECT state, sync_state FROM pg_stat_replication")
        return said.count("streaming") == len(self.hosts) - 1 and "|sync" in said

    async def sql(self, host: DatabaseHost, statement: str) -> str:
        """Run a statement as the superuser there."""
        text = (host.folder / "patroni.yml").read_text()
        found = re.search(r"bin_dir: (.*)", text)
        assert found is not None
        process = await asyncio.create_subprocess_exec(
            f"{found.group(1)}/psql", "-qtA", "-v", "ON_ERROR_STOP=1", "-c", statement,
            f"postgresql://postgres:{SECRETS['SUPERUSER-SECRET']}@{host.address}/postgres",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate()
        if process.returncode:
            raise AssertionError(f"psql failed: {statement}")
        return said.decode()

    async def make_database(self) -> None:
        """The role and the database, as docs/operations.md has them."""
        text = (DOCS.parent / "operations.md").read_text()
        block = re.search(r"```sql\n(CREATE ROLE.*?)```", text, re.DOTALL)
        assert block is not None
        leader = await self.found()
        for statement in block.group(1).strip().splitlines():
            await self.sql(leader, statement.replace("SECRET", FARM_SECRET))


@asynccontextmanager
async def running_cluster(
    network: FarmNetwork, folder: Path, tools: Path
) -> AsyncIterator[Cluster]:
    """The cluster with the farm's empty database, removed at the end."""
    account = await ensure_account("qvdnode-pg")
    hosts = []
    for number in range(1, 4):
        netns, link, address = network.add_host()
        hosts.append(
            DatabaseHost(f"db{number}", netns, link, address, folder / f"db{number}", account)
        )
    folder.mkdir(mode=0o711)
    cluster = Cluster(hosts, tools)
    await cluster.prepare()
    try:
        for host in hosts:
            await cluster.start(host)
        await cluster.make_database()
        await until(cluster.in_sync, limit_s=SYNC_LIMIT_S, what="two standbys, one synchronous")
        yield cluster
    finally:
        for host in hosts:
            host.kill()
        for host in hosts:
            await host.ended()
            shutil.rmtree(host.folder, ignore_errors=True)
