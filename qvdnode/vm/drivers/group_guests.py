"""What drivers of containers do alike: all that the kernel tells and takes by a control group.

Everything of a running guest (is it there, which pid, signal it, end it) is read from and written
to its control group, so no engine, monitor or file is needed for it.
"""

import asyncio
import signal
from typing import Final

from qvdnode.host import links, pidfd
from qvdnode.host.cgroups import Cgroups
from qvdnode.host.links import GuestEnd
from qvdnode.host.network_namespaces import NetworkNamespace, allow_ping, of_process
from qvdnode.model.errors import GuestFailed, HostFailed, TimedOut
from qvdnode.model.guest import GuestMemory, GuestProcess, GuestSpec, LimitEvents
from qvdnode.runtime.shield import run_shielded
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.core import lxc_config

SESSION_SCRIPT: Final = "/usr/lib/qvd/session"
NO_CGROUPS: Final = "no control groups are mounted at /sys/fs/cgroup"
MOUNT_CGROUPS: Final = "Mount control groups: systemd does."
DIAL_LIMIT_S: Final = 5.0
ENDED_AT_ONCE: Final = f"{lxc_config.INIT} of the image ended at once."


class GroupGuests:
    """The half of vm.guest_driver.GuestDriver that is about guests which run already."""

    def __init__(self, cgroups: Cgroups, parent: str) -> None:
        """`parent` is the control group below which this instance's guests live."""
        self._cgroups = cgroups
        self._parent = parent

    async def signal_display(self, spec: GuestSpec, pid: int, signal: int) -> bool:
        """Signal the process of this guest that has that guest pid."""
        # No await in here: the port wants the signal sent before the first suspension.
        host_pid = self._host_pid(spec, pid)
        return host_pid is not None and pidfd.send(host_pid, _signal(signal))

    async def dismiss_display(self, spec: GuestSpec, port: int) -> None:
        """Dial and hang up; a refusal means that the one place is taken, or the display gone."""
        address = str(spec.port.address.ip)
        try:
            async with TimeLimit(DIAL_LIMIT_S):
                _, writer = await asyncio.open_connection(address, port)
        except TimeoutError as error:
            raise TimedOut(f"The display at {address} does not answer.") from error
        except OSError:
            return
        writer.transport.abort()

    async def wait_display(self, spec: GuestSpec, pid: int) -> None:
        """Wait for the process of this guest that has that guest pid."""
        host_pid = self._host_pid(spec, pid)
        if host_pid is not None:
            await pidfd.wait_gone(host_pid)

    async def wait_exit(self, process: GuestProcess) -> None:
        """Wait on a pidfd."""
        await pidfd.wait_gone(process.pid, process.started_ticks)

    async def power_off(self, spec: GuestSpec) -> None:
        """SIGTERM to PID 1, which ends what is left and then itself."""
        guest = await self.find(spec)
        if guest is not None:
            pidfd.send(guest.pid, signal.SIGTERM, guest.started_ticks)

    async def find(self, spec: GuestSpec) -> GuestProcess | None:
        """The first process of the guest's group: PID 1 in a namespace of its own."""
        for pid in sorted(self._cgroups.processes(self._group(spec.name))):
            ticks = pidfd.start_ticks(pid)
            if ticks is not None and pidfd.guest_pid(pid) == 1:
                return GuestProcess(pid, ticks)
        return None

    async def memory(self, spec: GuestSpec) -> GuestMemory:
        """The group's charge and limit."""
        return self._cgroups.memory(self._group(spec.name))

    def control_group(self, spec: GuestSpec) -> str | None:
        """The control group of the guest alone: what its engine needs beside it goes on."""
        return self._group(spec.name)

    def limit_events(self, spec: GuestSpec) -> LimitEvents:
        """The kernel's counters of the guest's group."""
        group = self._group(spec.name)
        return LimitEvents(self._cgroups.killed(group), self._cgroups.forks_refused(group))

    def _host_pid(self, spec: GuestSpec, guest_pid: int) -> int | None:
        # A guest may lie about pids, so the pid is looked up among the guest's own processes.
        if guest_pid <= 1:
            return None
        pids = self._cgroups.processes(self._group(spec.name))
        return next((pid for pid in sorted(pids) if pidfd.guest_pid(pid) == guest_pid), None)

    def _group(self, name: str) -> str:
        return f"{self._parent}/{name}"


async def plug(spec: GuestSpec, guest: GuestProcess, bridge: str) -> None:
    """Make the guest's link in its network namespace, allow ping there; raises GuestFailed."""
    port = spec.port
    end = GuestEnd(lxc_config.LINK, port.mac, port.address.ip, port.gateway)
    namespace: NetworkNamespace | None = None
    try:
        # The namespace is held open: the link goes into this guest's or nowhere, whatever
        # becomes of its pid.
        namespace = _network_of(guest)
        await run_shielded(links.create_veth(port.link, bridge, namespace, end))
        await allow_ping(namespace, spec.ids.start, spec.ids.start + spec.ids.count - 1)
    except HostFailed as error:
        raise GuestFailed(f"The container did not start: {error}", step="launch") from error
    finally:
        if namespace is not None:
            namespace.close()


def _network_of(guest: GuestProcess) -> NetworkNamespace:
    """The namespace of a guest, to be closed; raises HostFailed when the guest has ended."""
    try:
        namespace = NetworkNamespace(of_process(guest.pid))
    except (FileNotFoundError, ProcessLookupError) as error:
        raise HostFailed(ENDED_AT_ONCE) from error
    # Its pid may belong to another process by now, and that be one of the host's.
    if pidfd.start_ticks(guest.pid) != guest.started_ticks:
        namespace.close()
        raise HostFailed(ENDED_AT_ONCE)
    return namespace


def _signal(number: int) -> signal.Signals:
    return signal.Signals(number)
