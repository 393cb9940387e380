"""Guests as virtual machines of QEMU, with a kernel of their own.

Per guest there are two processes: QEMU, in a group with the guest's limits, and virtiofsd, which
serves the guest's root, home and run folder out of the guest's own user namespace. Both outlive the
node. The node asks the agent in the machine over a serial port (machine_agent.py).
"""

import asyncio
import contextlib
import logging
import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from qvdnode.host import links, pidfd
from qvdnode.host.cgroups import Cgroups, probe
from qvdnode.host.group_limits import GroupLimits, create
from qvdnode.host.idmap import Namespaces, guest_namespace
from qvdnode.host.probes import programs
from qvdnode.model.errors import FarmError, GuestFailed, HostFailed, TimedOut
from qvdnode.model.guest import (
    DriverCheck,
    EndCause,
    GuestFault,
    GuestMemory,
    GuestProcess,
    GuestSpec,
    HostNeed,
    LimitEvents,
)
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.shield import run_shielded
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.core import kvm_argv, machine_console
from qvdnode.vm.core.kvm_argv import Accelerator, Handles, Machine
from qvdnode.vm.core.machine_silence import Silence
from qvdnode.vm.drivers import machine_boot, machine_processes, qmp
from qvdnode.vm.drivers.accelerator import KVM, AcceleratorProbe
from qvdnode.vm.drivers.balloon import Balloons
from qvdnode.vm.drivers.console_log import CONSOLE_READ, ConsoleLog
from qvdnode.vm.drivers.machine_agent import MachineAgent
from qvdnode.vm.drivers.machine_boot import BootFiles
from qvdnode.vm.drivers.machine_processes import Place, appending, dialled, listening
from qvdnode.vm.guest_driver import Console

log = logging.getLogger(__name__)

NO_CGROUPS: Final = "no control groups are mounted at /sys/fs/cgroup"
INSTALL: Final = "Run: apt-get install qemu-system-x86 qemu-system-common busybox-static"
CHECK_S: Final = 1.0
UP_LIMIT_S: Final = {Accelerator.KVM: 20.0, Accelerator.TCG: 120.0}
"""For a machine's kernel and agent to answer."""
QMP_LIMIT_S: Final = 10.0
ASK_LIMIT_S: Final = 5.0
DIAL_LIMIT_S: Final = 5.0
ALIVE_PAUSE_S: Final = 1.0
KILL_PAUSE_S: Final = 0.02
KILL_LIMIT_S: Final = 10.0
MIB: Final = 1024 * 1024
LOG_MAX: Final = 4 * MIB
"""Of a console's log, beyond which its machine cannot write."""
OVERHEAD_KVM_MIB, OVERHEAD_TCG_MIB = 45, 120
"""What QEMU and virtiofsd take beside the guest's memory: see docs/drivers.md."""
TASKS: Final = 512
"""Threads of QEMU, and of virtiofsd."""


@dataclass(frozen=True, slots=True)
class KvmPlace:
    """Where the driver keeps its files and how its guests are called."""

    folder: Path
    """The driver's own folder for this instance, below the state folder."""
    prefix: str
    """Every guest's name starts with it; `sweep` touches no other."""
    bridge: str
    accelerator: Accelerator | None = None
    """None: what works, found out by booting a kernel."""

    @property
    def group(self) -> str:
        """The control group below which this instance's machines live."""
        return f"{self.prefix}machines"


class KvmDriver:
    """Satisfies vm.guest_driver.GuestDriver."""

    def __init__(self, place: KvmPlace, clock: Clock, *, cgroups: Cgroups | None = None) -> None:
        self.place = place
        self.clock = clock
        self._cgroups = cgroups or probe()
        self._balloons = Balloons()
        self._is_slow = True  # until it is checked
        self._namespaces = Namespaces(guest_namespace)
        self._agents: dict[str, MachineAgent] = {}
        self._console_logs: dict[str, ConsoleLog] = {}
        self._silences: dict[str, Silence] = {}
        self._accelerator = AcceleratorProbe(place.folder, place.accelerator)

    async def check(self) -> DriverCheck:
        """Look for QEMU and what it needs; whether KVM works is known after the first start."""
        if not self._cgroups.hierarchies:
            return DriverCheck(problem=NO_CGROUPS, fix="Mount control groups: systemd does.")
        version = await programs.version(kvm_argv.QEMU, "--version", limit_s=CHECK_S)
        if version is None:
            problem = f"{kvm_argv.QEMU} is not installed"
            return DriverCheck(problem=problem, fix=INSTALL, installed=False)
        for needed in (Path(kvm_argv.VIRTIOFSD), machine_boot.BUSYBOX, links.TUN):
            if not needed.exists():
                return DriverCheck(problem=f"{needed} is missing", fix=INSTALL)
        warning, fix = self._accelerator.warning()
        self._is_slow = bool(warning)
        return DriverCheck(version=f"QEMU {version}", warning=warning, fix=fix)

    def overhead_mib(self) -> int:
        """Satisfies Costly."""
        return OVERHEAD_TCG_MIB if self._is_slow else OVERHEAD_KVM_MIB

    async def launch(self, spec: GuestSpec) -> GuestProcess:
        """Boot the machine; returns once its agent answers. Raises GuestFailed, leaving nothing."""
        self.place.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        boot = await run_shielded(
            asyncio.to_thread(machine_boot.prepare, spec.root.root, self.place.folder / "boot")
        )
        accelerator = await self._accelerator.get(boot)
        is_up = False
        try:
            guest = await self._start(spec, boot, accelerator)
            is_up = True
        finally:
            if not is_up:
                await self._end(spec.name)
        return guest

    async def _start(
        self, spec: GuestSpec, boot: BootFiles, accelerator: Accelerator
    ) -> GuestProcess:
        place = self._place(spec.name)
        place.remove()
        place.shared.mkdir(mode=0o700)
        try:
            with listening(place.share) as served:
                await self._start_share(spec, place, served.fileno())
                with dialled(place.share) as share:
                    await self._start_qemu(spec, place, boot, accelerator, share.fileno())
            place.share.unlink()
        except OSError as error:
            raise HostFailed(f"the machine's sockets cannot be made: {error}") from error
        try:
            return await self._run(spec, place, UP_LIMIT_S[accelerator])
        except FarmError as error:
            complaint = await self._complaint(spec.name) or str(error)
            raise GuestFailed(f"The machine did not start: {complaint}", step="launch") from error

    async def _run(self, spec: GuestSpec, place: Place, limit_s: float) -> GuestProcess:
        """Let a machine run that QEMU has made; returns once its agent answers."""
        await qmp.carry_out(place.qmp, ["query-status"], limit_s=QMP_LIMIT_S)
        guest = await self.find(spec)
        if guest is None:
            raise GuestFailed("QEMU ended.", step="launch")
        # Only now that its memory is made, which is a file, too. Some hosts are containers in which
        # root may not do that; there, limit_events alone keeps the log short.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            resource.prlimit(guest.pid, resource.RLIMIT_FSIZE, (LOG_MAX, LOG_MAX))
        await qmp.carry_out(place.qmp, ["cont"], limit_s=QMP_LIMIT_S)
        # QEMU has the other end of the agent's port, so this fails at once when it ends.
        await self._agent(spec.name).answer("ping", limit_s=limit_s)
        return guest

    async def _start_share(self, spec: GuestSpec, place: Place, listens: int) -> None:
        limits = GroupLimits(kvm_argv.SHARE_MIB, spec.cpu_pct, TASKS)
        groups = await asyncio.to_thread(create, self._cgroups, self._share(spec.name), limits)
        namespace = await self._namespaces.get(spec.ids.start, spec.ids.count)
        try:
            argv = kvm_argv.share_argv(spec, str(place.shared), namespace, listens)
            await machine_processes.start(argv, place.share_log, groups, (namespace, listens))
        finally:
            os.close(namespace)

    async def _start_qemu(
        self, spec: GuestSpec, place: Place, boot: BootFiles, accelerator: Accelerator, share: int
    ) -> None:
        limits = GroupLimits(kvm_argv.memory_limit_mib(spec, accelerator), spec.cpu_pct, TASKS)
        groups = await asyncio.to_thread(create, self._cgroups, self._group(spec.name), limits)
        machine = Machine(
            kernel=str(boot.kernel),
            initramfs=str(boot.initramfs),
            accelerator=accelerator,
            cpus=os.cpu_count() or 1,
            kvm_group=KVM.stat().st_gid if accelerator is Accelerator.KVM else None,
        )
        port = spec.port
        tap = await links.create_tap(port.link, self.place.bridge, port.mac)
        try:
            with (
                listening(place.agent) as agent,
                listening(place.qmp) as ordered,
                listening(place.terminal) as terminal,
                appending(place.console) as log_file,
            ):
                sockets = (agent.fileno(), ordered.fileno(), terminal.fileno())
                inherited = (tap, share, *sockets, log_file)
                argv = kvm_argv.qemu_argv(spec, machine, Handles(*inherited))
                await machine_processes.start(argv, place.console, groups, inherited)
        finally:
            os.close(tap)

    async def run_session(self, spec: GuestSpec, verb: str, *, limit_s: float) -> int:
        """Have the agent run the verb as the machine's root."""
        return await self._agent(spec.name).answer("session", verb, limit_s=limit_s)

    async def signal_display(self, spec: GuestSpec, pid: int, signal: int) -> bool:
        """Have the agent signal the process of that number."""
        if pid <= 1:
            return False
        # Written before anything is awaited, as the port wants it.
        try:
            answer = self._agent(spec.name).ask("signal", str(pid), str(int(signal)))
        except HostFailed:
            if await self.find(spec) is None:
                return False
            raise
        try:
            async with TimeLimit(ASK_LIMIT_S):
                return await answer == 0
        except (TimeoutError, GuestFailed):
            return True  # written, and so perhaps done

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
        """Ask for it again and again: a process in a machine cannot be waited for."""
        while await self.find(spec) is not None:
            if await self._is_gone(spec, pid):
                return
            await self.clock.sleep(ALIVE_PAUSE_S)

    async def _is_gone(self, spec: GuestSpec, pid: int) -> bool:
        silence = self._silences.setdefault(spec.name, Silence())
        if self._cgroups.is_frozen(self._group(spec.name)):
            silence.heard()
            return False  # questions would only pile up
        asked_s = self.clock.monotonic_s()
        try:
            code = await self._agent(spec.name).answer("alive", str(pid), limit_s=ASK_LIMIT_S)
        except FarmError:
            silence.missed(asked_s, self.clock.monotonic_s())
            return False  # it is too busy to answer now, hangs, or is about to end
        silence.heard()
        return code != 0

    async def end_cause(self, spec: GuestSpec) -> EndCause | None:
        """What its kernel, QEMU or the host's kernel says. Satisfies Explaining."""
        text = await machine_processes.tail(self._place(spec.name).console, CONSOLE_READ)
        if (found := machine_console.end_cause(text)) is not None:
            return found
        if self._cgroups.killed(self._group(spec.name)):
            because = "the host ended its QEMU, which used more memory than it may"
            return EndCause(GuestFault.HYPERVISOR_MEMORY, because)
        return None

    async def wait_exit(self, process: GuestProcess) -> None:
        """Wait on a pidfd."""
        await pidfd.wait_gone(process.pid, process.started_ticks)

    async def power_off(self, spec: GuestSpec) -> None:
        """Have the agent end what runs, write out what is to be kept, and switch off."""
        if await self.find(spec) is None:
            return
        try:
            self._agent(spec.name).ask("off").cancel()  # nobody waits for the answer
        except HostFailed as error:
            log.info("machine_takes_no_order", extra={"guest": spec.name, "because": str(error)})

    async def kill(self, spec: GuestSpec) -> None:
        """End QEMU and virtiofsd, remove groups, files and link; raises HostFailed."""
        if await self.find(spec) is None and (because := await self._complaint(spec.name)):
            log.info("machine_had_ended", extra={"guest": spec.name, "console": because})
        await self._end(spec.name)
        # It went with QEMU, unless that is a moment late.
        await run_shielded(links.remove_link(spec.port.link))

    async def find(self, spec: GuestSpec) -> GuestProcess | None:
        """The QEMU in the guest's group."""
        for pid in sorted(self._cgroups.processes(self._group(spec.name))):
            ticks = pidfd.start_ticks(pid)
            if ticks is not None:
                return GuestProcess(pid, ticks)
        return None

    async def memory(self, spec: GuestSpec) -> GuestMemory:
        """The group's charge, up to the guest's own limit."""
        found = self._cgroups.memory(self._group(spec.name))
        limit = spec.memory_mib * MIB
        return replace(found, used_bytes=min(found.used_bytes, limit), limit_bytes=limit)

    async def settle_balloon(self, spec: GuestSpec, need: HostNeed) -> int:
        """Take memory of the machine or return it; how much is taken. Satisfies Ballooning."""
        path = self._place(spec.name).qmp
        return await self._balloons.settle(spec.name, path, spec.memory_mib, need)

    def control_group(self, spec: GuestSpec) -> str | None:
        """That of QEMU; virtiofsd goes on, and has nothing to do then."""
        return self._group(spec.name)

    async def open_console(self, spec: GuestSpec) -> Console:
        """Dial QEMU, and have the agent run a shell there. Satisfies WithConsole."""
        found = await machine_processes.terminal(self._place(spec.name), DIAL_LIMIT_S)
        with contextlib.suppress(FarmError):  # a kernel that hangs is looked at without a shell
            await self._agent(spec.name).answer("console", limit_s=ASK_LIMIT_S)
        return found

    def close_console(self, spec: GuestSpec) -> None:
        """Have the agent end that shell."""
        with contextlib.suppress(HostFailed):
            self._agent(spec.name).ask("hangup").cancel()

    def limit_events(self, spec: GuestSpec) -> LimitEvents:
        """What the machine's kernel said on its console; of refused processes it says nothing."""
        console, silence = self._place(spec.name).console, self._silences.get(spec.name)
        killed = self._console_logs.setdefault(spec.name, ConsoleLog(console)).killed()
        return LimitEvents(killed, 0, 0 if silence is None else silence.hangs)

    async def sweep(self, keep: Sequence[str]) -> Sequence[str]:
        """End all other machines of this instance."""
        names = {
            name.removeprefix("share-") for name in self._cgroups.children(self.place.group)
        } | {path.stem for path in self.place.folder.glob(f"{self.place.prefix}*.console")}
        leftovers = sorted(name for name in names - set(keep) if name.startswith(self.place.prefix))
        for name in leftovers:
            log.warning("leftover_guest_ended", extra={"guest": name})
            await self._end(name)
        if not keep:
            self._cgroups.remove(self.place.group)
        return leftovers

    async def _end(self, name: str) -> None:
        self.forget(name)
        groups = (self._group(name), self._share(name))
        try:
            async with TimeLimit(KILL_LIMIT_S):
                while any(self._cgroups.processes(group) for group in groups):
                    for group in groups:
                        self._cgroups.kill(group)
                    await self.clock.sleep(KILL_PAUSE_S)
        except TimeoutError as error:
            raise HostFailed(f"processes of {name} cannot be killed") from error
        for group in groups:
            self._cgroups.remove(group)
        await asyncio.to_thread(self._place(name).remove)

    def forget(self, name: str) -> None:
        """Hang up on a machine; the next question dials again."""
        agent = self._agents.pop(name, None)
        if agent is not None:
            agent.close()
        self._console_logs.pop(name, None)
        self._silences.pop(name, None)
        self._balloons.forget(name)

    async def _complaint(self, name: str) -> str:
        """What the machine said before it ended, as a clause; empty when it said nothing."""
        place = self._place(name)
        said = [
            machine_console.verdict(await machine_processes.tail(path, CONSOLE_READ))
            for path in (place.console, place.share_log)
        ]
        # QEMU says no more than that virtiofsd is gone.
        return said[1] if not said[0] or "vhost" in said[0] else said[0]

    def _agent(self, name: str) -> MachineAgent:
        if name not in self._agents:
            self._agents[name] = MachineAgent(self._place(name).agent)
        return self._agents[name]

    def _place(self, name: str) -> Place:
        return Place(self.place.folder, name)

    def _group(self, name: str) -> str:
        return f"{self.place.group}/{name}"

    def _share(self, name: str) -> str:
        return f"{self.place.group}/share-{name}"
