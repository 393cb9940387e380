"""A real unprivileged container on a real image, driven by LXC's own tools.

It stands for what a driver does, so that the session script can be tested by itself.
"""

import secrets
from pathlib import Path

from qvdnode.host import mounts, process
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.image.settings import ImageSettings
from qvdnode.model.guest import GuestRoot, IdRange
from qvdnode.model.ids import Generation
from tests.fakes.orders import FLAVOUR, desktop_order

IDS = IdRange(0x7F00_0000)
"""Far from what nodes on this host give to their guests."""
USUAL = {
    "LOGIN": "alice",
    "HOSTNAME": "desk-7",
    "MACHINE_ID": "0123456789abcdef0123456789abcdef",
    "LOCALE": "es_ES.UTF-8",
    "TIMEZONE": "Europe/Madrid",
    "KEYBOARD": "pc105/es",
    "LINK": "lan",
    "GEOMETRY": "800x600",
    "CLIENT": "linux",
    "NAMESERVERS": "10.0.0.1 10.0.0.2",
    "SEARCH": "one.example two.example",
}
LISTENS = "Waiting for connection from any host on socket 'tcp:*:4100'"
# Without /usr/bin on it LXC, being root, writes the id map itself and needs no line in subuid.
SEARCH_PATH = {"PATH": "/usr/sbin:/sbin"}
ORDER = desktop_order(7, flavour=FLAVOUR)
ONE = Generation(1)
DEVICES = ("c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9", "c 5:0", "c 5:1", "c 5:2", "c 136:*")


class BareGuest:
    """One container; `start` and `stop` bracket its life."""

    def __init__(self, settings: ImageSettings, icewm_root: Path) -> None:
        self.name = f"qvt{secrets.token_hex(4)}"
        self.link = self.name
        net = 4 * secrets.randbelow(1 << 13)
        self.host_address = f"10.251.{net >> 8}.{(net & 255) + 1}"
        self.address = f"10.251.{net >> 8}.{(net & 255) + 2}"
        self.state = settings.state_dir
        self.run_folder = settings.state_dir / "run" / "7"
        self._rootfs = OverlayRootfs(settings)
        image = settings.state_dir / "images" / "2" / "4"
        image.mkdir(parents=True)
        (image / "rootfs").symlink_to(icewm_root)

    async def start(self) -> None:
        """Mount and launch."""
        made = await self._rootfs.mount(ORDER, ONE, IDS)
        self.root = made.root
        self.run_folder.mkdir()
        mounts.tmpfs(self.run_folder, size_kib=1024, inodes=64, owner=IDS.start, mode=0o755)
        config = self.state / "config"
        config.write_text(self._config(made), encoding="ascii")
        (self.state / "lxc").mkdir()
        await self._lxc("start", "-d", "-f", str(config))
        await process.run(["ip", "addr", "add", f"{self.host_address}/30", "dev", self.link])

    async def stop(self) -> None:
        """Kill and unmount, whatever state it is in."""
        await self._lxc("stop", "-k", check=False)
        mounts.unmount(self.run_folder)
        await self._rootfs.unmount(ORDER.vm.id, ORDER.user.id, ONE)
        self._rootfs.close()

    def params(self, **values: str) -> None:
        """Write the parameters file."""
        lines = [f"{key}={value.encode().hex()}\n" for key, value in values.items()]
        self.raw_params("".join(lines).encode())

    def raw_params(self, content: bytes) -> None:
        """Write anything as the parameters file."""
        (self.run_folder / "params").write_bytes(content)

    async def session(self, verb: str) -> int:
        """Run the session script; its exit code."""
        return (await self.run("/usr/lib/qvd/session", verb)).returncode

    async def run(self, *argv: str) -> process.Finished:
        """Run a program in the guest as its root."""
        return await self._lxc("attach", "--clear-env", "--", *argv, check=False)

    def log(self) -> str:
        """What the display has said."""
        path = self.run_folder / "nxagent.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def _lxc(self, verb: str, *rest: str, check: bool = True) -> process.Finished:
        argv = [f"/usr/bin/lxc-{verb}", "-n", self.name, "-P", str(self.state / "lxc"), *rest]
        return await process.run(argv, env=SEARCH_PATH, check=check)

    def _config(self, made: GuestRoot) -> str:
        lines = [
            "lxc.uts.name = desk",
            "lxc.init.cmd = /usr/lib/qvd/init",
            f"lxc.rootfs.path = dir:{made.root}",
            f"lxc.idmap = u 0 {IDS.start} {IDS.count}",
            f"lxc.idmap = g 0 {IDS.start} {IDS.count}",
            "lxc.net.0.type = veth",
            f"lxc.net.0.veth.pair = {self.link}",
            "lxc.net.0.flags = up",
            f"lxc.net.0.ipv4.address = {self.address}/30",
            "lxc.mount.auto = proc:mixed sys:ro",
            f"lxc.mount.entry = {self.run_folder} run/qvd none bind,nosuid,nodev,noexec 0 0",
            f"lxc.mount.entry = {made.home} home/alice none bind,nosuid,nodev 0 0",
            "lxc.mount.entry = tmpfs tmp tmpfs nosuid,nodev 0 0",
            "lxc.tty.max = 0",
            "lxc.cgroup.devices.deny = a",
            *(f"lxc.cgroup.devices.allow = {device} rwm" for device in DEVICES),
        ]
        return "\n".join(lines) + "\n"


async def users_processes(guest: BareGuest) -> str:
    done = await guest.run("ps", "-u", "1000", "-o", "args=")
    return done.stdout.decode()


async def asked(guest: BareGuest, *command: str) -> str:
    """What a command in the guest says."""
    return (await guest.run(*command)).stdout.decode().strip()
