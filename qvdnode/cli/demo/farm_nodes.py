"""The nodes of a demo's farm: started, joined, lost as a host is lost, and ended."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from qvdnode.cli.demo import node
from qvdnode.cli.demo.farm_network import DemoNetwork
from qvdnode.cli.demo.farm_plan import FarmPlan, Networks, address, member_config, node_name
from qvdnode.cli.demo.plan import SUBNET_PREFIX_LENGTH, DemoPlan
from qvdnode.cli.demo.traces import processes_of
from qvdnode.daemon import state_folder
from qvdnode.daemon.announcement import Announcement
from qvdnode.daemon.config import GUEST_NAME
from qvdnode.host import cgroups, process
from qvdnode.host.trusted_path import PathUse, require
from qvdnode.model.errors import FarmError, HostFailed
from qvdnode.net.host_network import unused_subnet
from qvdnode.peer.farm_files import FarmFiles
from qvdnode.runtime.clock import Clock
from qvdnode.vm.core.lxc_config import guests_group

if TYPE_CHECKING:
    from qvdnode.host.child import Child

JOIN_LIMIT_S: Final = 120.0
KILL_LIMIT_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.05
OWN_MOUNTS: Final = ("unshare", "--mount", "--propagation", "private", "--")
"""The prefix of a command whose mounts nobody else sees, and which end with its processes."""
BOUND: Final = ("sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh")
"""The prefix of a command that needs a file or folder in the place of another: both follow."""
NEVER_CHANGED: Final = frozenset({"objects", "manifests", "commits", "erofs"})
"""The parts of a store whose files are written once, so that nodes can have the same ones."""


class DemoNodes:
    """The processes, and what is known of each."""

    def __init__(self, farm: FarmPlan, network: DemoNetwork, dsn: str, clock: Clock) -> None:
        self.farm = farm
        self.network = network
        self._dsn = dsn
        self._clock = clock
        self._running: dict[int, Child] = {}
        self._lost: set[int] = set()

    async def __aenter__(self) -> Self:
        """Nothing to do: nodes are started one by one."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all of them."""
        await self.end()

    def address(self, member: DemoPlan) -> IPv4Address:
        """The address of a node."""
        return address(self.network.network, member.number)

    def host(self, member: DemoPlan) -> str:
        """The same as a text."""
        return str(self.address(member))

    async def take_images(self, member: DemoPlan) -> None:
        """Give a node that does not run yet the first one's images; raises HostFailed."""
        try:
            await asyncio.to_thread(copy_images, self.farm.members[0], member)
        except OSError as error:
            raise HostFailed(f"The images cannot be copied: {error}") from error

    async def prepare(self, member: DemoPlan) -> None:
        """Make the node's folder and configuration; raises HostFailed."""
        await node.end_orphan(member)
        state_folder.secure(member.state_dir)
        require(member.folder, PathUse.OWN_FOLDER, make_mode=0o700)
        guests = await unused_subnet(prefixlen=SUBNET_PREFIX_LENGTH, seed=member.seed)
        first_id = await node.unused_ids(member)
        networks = Networks(self.network.network, guests)
        text = member_config(self.farm, member, networks, first_id, self._dsn)
        member.config_file.write_text(text, encoding="utf-8")

    async def start(self, member: DemoPlan) -> Announcement:
        """Start a node that is prepared, and wait until it serves; raises HostFailed, TimedOut."""
        homes = member.state_dir / "homes"
        state_folder.secure(homes)
        within = (*self.network.within(member.number), *OWN_MOUNTS, *BOUND)
        child = await node.launch_node(
            member, sys.executable, *within, str(self.farm.homes), str(homes)
        )
        self._running[member.number] = child
        return await node.serving(member, child, self._clock)

    async def join(self, member: DemoPlan, arguments: list[str]) -> None:
        """Run the command that the first node printed for a new host; raises HostFailed."""
        command = (sys.executable, "-m", "qvdnode", *arguments, "--config", str(member.config_file))
        done = await process.run(
            [*self.network.within(member.number), *command], limit_s=JOIN_LIMIT_S, check=False
        )
        if done.returncode != 0:
            raise HostFailed(f"{node_name(member)} cannot join: {done.stderr_tail()}")

    async def lose(self, member: DemoPlan) -> None:
        """Lose the node as a host is lost: nobody hears of it any more, and nothing of it runs.

        Its link is cut first, so that no connection is closed by the kernel in good order.
        """
        child = self._running.pop(member.number)
        self._lost.add(member.number)
        await self.network.cut(member.number)
        child.send_signal(signal.SIGKILL)
        await child.wait()
        child.close()
        for pid, _ in processes_of(member):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        groups, above = cgroups.probe(), guests_of(member)
        await asyncio.to_thread(groups.kill, above)
        deadline_s = self._clock.monotonic_s() + KILL_LIMIT_S
        while await asyncio.to_thread(groups.processes, above):
            if self._clock.monotonic_s() > deadline_s:
                raise HostFailed(f"The desktops of {node_name(member)} do not die.")
            await self._clock.sleep(LOOK_AGAIN_S)

    async def bring_back(self, member: DemoPlan) -> None:
        """Start a lost node again, which cleans up after itself; raises HostFailed, TimedOut."""
        await self.network.mend(member.number)
        await self.prepare(member)  # another node of this host may have taken its ids meanwhile
        await self.start(member)
        self._lost.discard(member.number)

    async def watch(self, member: DemoPlan) -> None:
        """Wait until the node ends by itself; then raise HostFailed. A lost one is no matter."""
        child = self._running[member.number]
        code = await child.wait()
        if self._running.get(member.number) is child:
            told = node.log_tail(member.log_file)
            raise HostFailed(f"{node_name(member)} ended ({code}). The end of its log:\n{told}")

    async def end(self) -> None:
        """Stop all nodes; one that was lost is started first, so that it removes what it made."""
        lost = [member for member in self.farm.members if member.number in self._lost]
        failures: list[FarmError] = []
        for member in lost:
            try:
                await self.bring_back(member)
            except FarmError as error:
                failures.append(error)
        ended = (node.end_node(child) for child in self._running.values())
        await asyncio.gather(*ended)
        if failures:
            raise failures[0]


def guests_of(member: DemoPlan) -> str:
    """The control group of all guests of the node."""
    return guests_group(f"{member.prefix}{GUEST_NAME}")


def joined(member: DemoPlan) -> bool:
    """Whether the host is a node of the farm since an earlier demo; raises HostFailed."""
    return FarmFiles(member.state_dir / state_folder.FARM).member() is not None


def copy_images(source: DemoPlan, target: DemoPlan) -> None:
    """Give a node that does not run yet the images of another one that it lacks."""
    images = target.state_dir / "images"
    require(images, PathUse.OWN_FOLDER, make_mode=0o711)
    shutil.copytree(
        source.state_dir / "images", images, symlinks=True, dirs_exist_ok=True, copy_function=_give
    )


def _give(source: str, target: str) -> None:
    if os.path.lexists(target):
        return
    if NEVER_CHANGED.isdisjoint(Path(source).parts):
        shutil.copy2(source, target, follow_symlinks=False)
    else:
        os.link(source, target, follow_symlinks=False)


def ensure_folders(farm: FarmPlan) -> None:
    """Make what the nodes share; raises HostFailed."""
    for folder in (farm.folder, farm.homes, farm.database):
        require(folder, PathUse.OWN_FOLDER, make_mode=0o711)
        folder.chmod(0o711)
