"""The floor of the benches of desktops: the bare steps of a desktop by a script, without a node.

A bare desktop gets what a node's desktop gets: a root and a home of limited size with shifted
owners, packet rules, a link, a container, the image's session script. Nobody logs in, nothing is
written to a database, nothing watches the guest. The steps run in sequence by the cheapest calls.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from bench.bare_host import DISPLAY_PORT, BareHost, bare_host, ip
from qvdnode.host import mounts, pidfd, process
from qvdnode.host.idmap import guest_namespace
from qvdnode.host.linux_calls import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY
from qvdnode.image import guest_folders
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.homes import HOME_UID
from qvdnode.image.layout import Layout
from qvdnode.image.settings import ImageSettings
from qvdnode.image.size_limit import LimitedFolder
from qvdnode.model.errors import FarmError
from qvdnode.model.guest import IDS_PER_GUEST, GuestPort, GuestRoot, GuestSpec, IdRange
from qvdnode.model.ids import Generation, UserId, VmId
from qvdnode.net.core import frame_rules, names, packet_rules
from qvdnode.net.core.frame_rules import AllowedSource
from qvdnode.vm.core import lxc_config
from qvdnode.vm.drivers.group_guests import SESSION_SCRIPT
from qvdnode.vm.drivers.lxc import SEARCH_PATH
from qvdnode.vm.run_folder import INODES, SIZE_KIB
from qvdnode.wire import session_params
from qvdnode.wire.session_exit import SessionExit
from tests.harness.farm import FLAVOUR

ACCOUNT: Final = "bare"
LISTENS: Final = b"Info: Waiting for connection from"
CONNECTED: Final = (b"Session: Session started at", b"Session: Session resumed at")
SUSPENDED: Final = b"Session: Session suspended at"
LOOK_S: Final = 0.002
"""How often a display's log is looked at."""
LIMIT_S: Final = 60.0
AGAIN_S: Final = 2.0
"""Before a SIGHUP that seems to be lost is sent again."""
CALM_S: Final = 0.1
"""After a display was suspended: a SIGHUP that comes at once is lost."""


@dataclass
class BareDesktop:
    """One desktop, started and resumed step by step."""

    host: BareHost
    number: int
    steps: dict[str, float] = field(default_factory=dict)
    """Seconds of each step of the last start or resume."""
    users: int = -1
    """A descriptor of the user namespace of its ids, once there is one."""
    _agent: int = 0
    _options_hold: bool = False
    _viewer: "asyncio.subprocess.Process | None" = None

    def __post_init__(self) -> None:
        """Choose names and numbers, make nothing."""
        host, start = self.host, self.host.ids.start + self.number * IDS_PER_GUEST
        vm_id = VmId(self.number)
        self.ids = IdRange(start)
        layout = Layout(host.folder)
        self.folders = layout.guest(vm_id, Generation(1))
        self.home = layout.home(UserId(self.number))
        self.home_file = layout.home_file(UserId(self.number))
        self.run_folder = host.folder / "run" / str(self.number)
        self.port = GuestPort(
            link=names.link_name(host.prefix, vm_id),
            mac=names.guest_mac(host.prefix, vm_id),
            address=IPv4Interface((host.subnet[self.number + 1], host.subnet.prefixlen)),
            gateway=host.subnet[1],
            egress=True,
        )
        self.spec = GuestSpec(
            vm_id=vm_id,
            generation=Generation(1),
            name=f"{host.prefix}-{self.number}",
            hostname=f"bare-{self.number}",
            account=ACCOUNT,
            ids=self.ids,
            port=self.port,
            root=GuestRoot(self.folders.root, self.folders.home),
            run_folder=self.run_folder / "shared",
            memory_mib=int(FLAVOUR["memory_mib"]),
            cpu_pct=int(FLAVOUR["cpu_pct"]),
            pids_max=1024,
        )

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped since."""
        return self.spec.run_folder.is_dir()

    async def start(self) -> None:
        """From nothing to a display that listens."""
        self.steps.clear()
        self._options_hold = False
        with self._step("mount"):
            await self._mount()
        with self._step("confine"):
            source = AllowedSource(self.port.link, self.port.mac, self.port.address.ip)
            await self.host.nft.change(
                [
                    *frame_rules.admit(self.host.prefix, source),
                    *packet_rules.allow_egress(self.host.prefix, self.port.address.ip),
                ]
            )
        with self._step("launch"):
            await self._launch()
        with self._step("plug"):
            await self._plug()
        with self._step("session"):
            await self._run_session("start", {SessionExit.DONE})
        with self._step("listen"):
            await self._count(LISTENS, 1)

    async def resume(self) -> None:
        """From a suspended display to one that listens again."""
        self.steps.clear()
        with self._step("session"):
            if not self._options_hold:
                await self._run_session("resume", {SessionExit.DONE, SessionExit.OPTIONS_HOLD})
                self._options_hold = True
        with self._step("listen"):
            before = self._log().count(LISTENS)
            async with asyncio.timeout(LIMIT_S):
                while not self._log().count(LISTENS) > before:
                    os.kill(self._agent_pid(), signal.SIGHUP)
                    with contextlib.suppress(TimeoutError):  # a busy machine loses one still
                        await self._count(LISTENS, before + 1, AGAIN_S)

    async def show(self) -> None:
        """Start nxproxy; a window follows."""
        folder = self.host.folder / "viewers" / str(self.number)
        folder.mkdir(parents=True, exist_ok=True)
        address = f"connect={self.port.address.ip},port={DISPLAY_PORT}"
        self._viewer = await asyncio.create_subprocess_exec(
            "prlimit", "--core=0",
            "nxproxy", "-S", f"nx/nx,{address},link=lan:{40_000 + self.number}",
            env={
                **os.environ,
                "DISPLAY": self.host.display,
                "NX_CLIENT": "/bin/false",
                "HOME": str(folder),
            },
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def connected(self) -> None:
        """Wait until the display has taken the client that `show` has started for it."""
        wanted = self._log().count(LISTENS)
        async with asyncio.timeout(LIMIT_S):
            while sum(map(self._log().count, CONNECTED)) < wanted:  # noqa: ASYNC110 - as _count
                await asyncio.sleep(LOOK_S)

    async def suspend(self) -> None:
        """Drop the client, as one that vanishes, and wait until the display can be resumed."""
        suspended = self._log().count(SUSPENDED)
        await self._close_viewer()
        await self._count(SUSPENDED, suspended + 1)
        await asyncio.sleep(CALM_S)

    async def stop(self) -> None:
        """End the guest and remove what was made for it but its home; safe to repeat."""
        await self._close_viewer()
        await self.host.driver.kill(self.spec)
        await guest_folders.remove(self.folders)
        await asyncio.to_thread(mounts.unmount, self.run_folder)
        await asyncio.to_thread(mounts.unmount, self.home)
        self._agent = 0

    async def remove(self) -> None:
        """Stop it and let go of its namespace."""
        try:
            await self.stop()
        finally:
            if self.users >= 0:
                os.close(self.users)
                self.users = -1

    async def _mount(self) -> None:
        if self.users < 0:  # as the node, which keeps them for the next start with these ids
            self.users = await guest_namespace(self.ids.start, self.ids.count)
        guest_folders.prepare(self.folders, self.ids)
        for limited in self._limited():
            await self.host.limit.open(limited)
        home = self.home / "home"
        if not home.exists():
            home.mkdir(mode=0o700)
            os.chown(home, HOME_UID, HOME_UID)
        lower = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV
        await self._bind(self.host.image, self.folders.lower, lower)
        await self._bind(home, self.folders.home, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
        await asyncio.to_thread(guest_folders.join, self.folders, ACCOUNT, self.ids)
        await asyncio.to_thread(self._make_run_folder)

    def _limited(self) -> tuple[LimitedFolder, LimitedFolder]:
        projects = QuotaProjects(ImageSettings().quota_project_base)
        root = projects.of_root(self.spec.vm_id)
        home = projects.of_home(UserId(self.number))
        disk_mib, home_mib = int(FLAVOUR["disk_mib"]), int(FLAVOUR["home_mib"])
        return (
            LimitedFolder(self.folders.disk, self.folders.disk_file, root, disk_mib, kept=False),
            LimitedFolder(self.home, self.home_file, home, home_mib, kept=True),
        )

    async def _bind(self, source: Path, target: Path, attributes: int) -> None:
        await self.host.mapper.bind(
            source, target, start=self.ids.start, count=self.ids.count, attributes=attributes
        )

    def _make_run_folder(self) -> None:
        run, shared = self.run_folder, self.spec.run_folder
        run.mkdir(mode=0o711, parents=True, exist_ok=True)
        mounts.tmpfs(run, size_kib=SIZE_KIB, inodes=INODES, owner=0, mode=0o710)
        os.chown(run, 0, self.ids.start)
        shared.mkdir()
        os.chown(shared, self.ids.start, self.ids.start)

    async def _launch(self) -> None:
        host, name = self.host, self.spec.name
        config = host.lxc / f"{name}.conf"
        place = f"/proc/{os.getpid()}/fd/{self.users}"
        config.write_text(lxc_config.config_text(self.spec, host.lxc_host, place))
        await self._lxc("lxc-start", "-d", "-f", str(config), "-o", str(host.lxc / f"{name}.log"))

    async def _plug(self) -> None:
        init = await self.host.driver.find(self.spec)
        if init is None:
            raise AssertionError(f"{self.spec.name} ended at once")
        port, link = self.port, lxc_config.LINK
        await ip(
            "link", "add", port.link, "up", "master", self.host.bridge, "type", "veth",
            "peer", "name", link, "address", port.mac, "netns", str(init.pid),
        )  # fmt: skip
        orders = (
            f"address add {port.address.ip}/32 dev {link}",
            f"link set {link} up",
            f"route add {port.gateway}/32 dev {link} scope link",
            f"route add default via {port.gateway} dev {link}",
        )
        inside = ["nsenter", f"--net=/proc/{init.pid}/ns/net", "ip", "-batch", "-"]
        await process.run(inside, stdin="\n".join(orders).encode())

    async def _run_session(self, verb: str, wanted: set[int]) -> None:
        params = self.spec.run_folder / "params"
        params.unlink(missing_ok=True)
        params.write_bytes(session_params.encode(self._params()))
        params.chmod(0o400)
        os.chown(params, self.ids.start, self.ids.start)
        await self._enter(verb, wanted)

    async def _enter(self, verb: str, wanted: set[int]) -> None:
        await self._lxc("lxc-attach", "--clear-env", "--", SESSION_SCRIPT, verb, wanted=wanted)

    def _params(self) -> Mapping[str, str]:
        return {
            "LOGIN": ACCOUNT, "UID": str(HOME_UID), "HOME": f"/home/{ACCOUNT}",
            "SHELL": "/bin/bash", "LOCALE": "C.UTF-8", "TIMEZONE": "UTC", "CLIENT": "linux",
            "HOSTNAME": self.spec.hostname, "MACHINE_ID": f"{self.number:032x}",
            "LINK": "lan", "GEOMETRY": "800x600",
        }  # fmt: skip

    async def _lxc(self, program: str, *words: str, wanted: set[int] | None = None) -> None:
        argv = [f"/usr/bin/{program}", "-n", self.spec.name, "-P", str(self.host.lxc), *words]
        code = await process.exit_code(argv, env={"PATH": SEARCH_PATH}, limit_s=LIMIT_S)
        if code not in (wanted or {0}):
            raise AssertionError(f"{' '.join(argv)} ended with {code}")

    def _log(self) -> bytes:
        try:
            return (self.spec.run_folder / "nxagent.log").read_bytes()
        except FileNotFoundError:
            return b""

    async def _count(self, sentence: bytes, wanted: int, limit_s: float = LIMIT_S) -> None:
        async with asyncio.timeout(limit_s):
            while self._log().count(sentence) < wanted:  # noqa: ASYNC110 - the guest writes it
                await asyncio.sleep(LOOK_S)

    def _agent_pid(self) -> int:
        """nxagent's, in the host's numbering."""
        if not self._agent:
            inside = int((self.spec.run_folder / "nxagent.pid").read_text())
            group = lxc_config.guest_group(self.host.lxc_host, self.spec.name)
            pids = self.host.groups.processes(group)
            self._agent = next(pid for pid in pids if pidfd.guest_pid(pid) == inside)
        return self._agent

    async def _close_viewer(self) -> None:
        if self._viewer is not None and self._viewer.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._viewer.kill()
            await self._viewer.wait()
        self._viewer = None

    @contextlib.contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.steps[name] = time.monotonic() - began


@contextlib.asynccontextmanager
async def floor(image: Path, display: str, desktops: int) -> AsyncIterator[Sequence[BareDesktop]]:
    """So many bare desktops that are not started, gone at the end with all that they made."""
    async with bare_host(image, display, desktops) as host:
        bare = [BareDesktop(host, number) for number in range(1, desktops + 1)]
        try:
            yield bare
        finally:
            await asyncio.shield(remove_all(bare))


async def remove_all(desktops: Sequence[BareDesktop]) -> None:
    """Remove each, whatever becomes of the others."""
    for desktop in desktops:
        with contextlib.suppress(FarmError, OSError):
            await desktop.remove()
