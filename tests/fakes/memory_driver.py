"""Guests that are nothing but memory: a driver and its run folders.

MemoryHost stands for a host's kernel: it survives the node that uses it, so adoption can be tried.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Final

from qvdnode.model.errors import FarmError, GuestFailed, PartGone
from qvdnode.model.guest import (
    DriverCheck,
    EndCause,
    GuestMemory,
    GuestPort,
    GuestProcess,
    GuestRoot,
    GuestSpec,
    IdRange,
    LimitEvents,
)
from qvdnode.model.ids import Generation, VmId
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.core.nxagent_log import LogParser
from qvdnode.vm.guest_driver import Console
from qvdnode.wire.session_exit import SessionExit
from tests.fakes.echo_console import echo_console
from tests.fakes.simulated_nxagent import SimulatedNxagent

WORKS: Final = DriverCheck(version="1")


@dataclass(eq=False, slots=True)
class MemoryFolder:
    """One VM's run folder."""

    owner: IdRange
    params: bytes | None = None
    options: bytes = b""
    """What the session script told the display: the parameters."""
    log: str = ""
    notice: bytes = b""
    typed: bytes = b""
    display_pid: int | None = None
    desktop_exit: int | None = None
    readers: list[Callable[[str], None]] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Append to the display's log."""
        self.log += line + "\n"
        for reader in tuple(self.readers):
            reader(line + "\n")


@dataclass(eq=False, slots=True)
class MemoryGuest:
    """One running guest."""

    spec: GuestSpec
    process: GuestProcess
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    display: SimulatedNxagent | None = None
    display_gone: asyncio.Event = field(default_factory=asyncio.Event)
    limit_events: LimitEvents = field(default_factory=lambda: LimitEvents(0, 0))


@dataclass(eq=False, slots=True)
class MemoryHost:
    """What outlives a node: guests and run folders."""

    guests: dict[str, MemoryGuest] = field(default_factory=dict)
    folders: dict[VmId, MemoryFolder] = field(default_factory=dict)
    launches: list[VmId] = field(default_factory=list)
    """Every guest ever launched."""
    sessions: dict[VmId, list[str]] = field(default_factory=dict)
    """The verbs that each VM's session script was run with."""
    failing: dict[str, FarmError] = field(default_factory=dict)
    """Errors to raise, by name of the driver's method, until taken away."""
    exit_codes: dict[str, int] = field(default_factory=dict)
    """What the session script ends with when its work is done, by verb, until taken away."""
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    """Methods of the driver that wait for an event: signals after they are sent, others before."""
    silent: set[VmId] = field(default_factory=set)
    """VMs whose display starts but never listens."""
    stubborn: set[VmId] = field(default_factory=set)
    """VMs that do not end by themselves."""
    consoles: "dict[VmId, asyncio.Task[None]]" = field(default_factory=dict)
    """The far ends of those that are open."""
    end_causes: dict[VmId, EndCause] = field(default_factory=dict)
    """Why guests end, as their driver tells it afterwards."""
    check: DriverCheck = WORKS
    """What the driver finds when it checks the host."""
    frozen: set[str] = field(default_factory=set)
    """Control groups whose processes are kept from running."""
    reclaims: list[str] = field(default_factory=list)
    """Control groups whose memory was pushed to swap, in order."""
    pids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1000))

    def guest(self, vm_id: int) -> MemoryGuest:
        """The running guest of a VM."""
        return next(guest for guest in self.guests.values() if guest.spec.vm_id == vm_id)

    def display(self, vm_id: int) -> SimulatedNxagent:
        """The display of a VM's guest."""
        display = self.guest(vm_id).display
        if display is None:
            raise LookupError(f"VM {vm_id} has no display")
        return display

    def exit(self, vm_id: int) -> None:
        """The guest's PID 1 ends, and everything with it."""
        self._bury(self.guest(vm_id).spec.name)

    def _bury(self, name: str) -> None:
        guest = self.guests.pop(name, None)
        self.frozen.discard(name)
        if guest is not None:
            guest.display_gone.set()
            guest.gone.set()


class MemoryDriver:
    """Satisfies vm.guest_driver.GuestDriver."""

    def __init__(self, host: MemoryHost, *, prefix: str = "qvd") -> None:
        self.host = self._host = host
        self._prefix = prefix

    async def check(self) -> DriverCheck:
        """As the test set it."""
        return self._host.check

    async def launch(self, spec: GuestSpec) -> GuestProcess:
        """A guest that runs until it is told to end."""
        await self._begin("launch")
        if spec.name in self._host.guests:
            raise GuestFailed(f"{spec.name} runs already", step="launch")
        process = GuestProcess(next(self._host.pids), 1)
        self._host.guests[spec.name] = MemoryGuest(spec, process)
        self._host.launches.append(spec.vm_id)
        return process

    async def run_session(self, spec: GuestSpec, verb: str, *, limit_s: float) -> int:
        """What the session script would do and answer."""
        await self._begin("run_session")
        self._require_thawed(spec)
        self._host.sessions.setdefault(spec.vm_id, []).append(verb)
        guest = self._guest(spec)
        folder = self._host.folders.get(spec.vm_id)
        if guest is None or folder is None or folder.params is None:
            return SessionExit.BAD_PARAMETERS
        running = guest.display is not None
        match verb:
            case "start" if running:
                return SessionExit.ALREADY_RUNNING
            case "start":
                self._start_display(guest, folder)
            case "resume" | "suspend" | "notify" | "type" if not running:
                return SessionExit.NOT_RUNNING
            case "stop":
                if guest.display is not None:
                    guest.display.take(15)
            case "resume":
                folder.options = folder.params
                return SessionExit.OPTIONS_HOLD
            case "suspend" | "notify" | "type":
                pass
            case _:
                return SessionExit.UNKNOWN_VERB
        return self._host.exit_codes.get(verb, SessionExit.DONE)

    async def signal_display(self, spec: GuestSpec, pid: int, signal: int) -> bool:
        """Hand the signal to the display, then wait if the method is held."""
        self._fail("signal_display")
        self._require_thawed(spec)
        guest = self._guest(spec)
        if guest is None or guest.display is None or guest.display.pid != pid:
            return False
        guest.display.take(signal)
        await self._held("signal_display")
        return True

    async def dismiss_display(self, spec: GuestSpec, port: int) -> None:
        """A client comes and goes."""
        await self._begin("dismiss_display")
        self._require_thawed(spec)
        guest = self._guest(spec)
        display = None if guest is None else guest.display
        if display is not None and display.reach():
            display.drop()

    async def wait_display(self, spec: GuestSpec, pid: int) -> None:
        """Wait for the display's end."""
        guest = self._guest(spec)
        if guest is not None and guest.display is not None and guest.display.pid == pid:
            await guest.display_gone.wait()

    async def wait_exit(self, process: GuestProcess) -> None:
        """Wait for the guest's end."""
        for guest in tuple(self._host.guests.values()):
            if guest.process == process:
                await guest.gone.wait()

    async def power_off(self, spec: GuestSpec) -> None:
        """End by itself, unless it is stubborn."""
        await self._begin("power_off")
        self._require_thawed(spec)
        if self._guest(spec) is not None and spec.vm_id not in self._host.stubborn:
            self._host.exit(spec.vm_id)

    async def kill(self, spec: GuestSpec) -> None:
        """End."""
        await self._begin("kill")
        self._host.frozen.discard(spec.name)
        if self._guest(spec) is not None:
            self._host.exit(spec.vm_id)

    async def find(self, spec: GuestSpec) -> GuestProcess | None:
        """The guest of that name."""
        guest = self._guest(spec)
        return None if guest is None else guest.process

    async def memory(self, spec: GuestSpec) -> GuestMemory:
        """A tenth of what it may have."""
        limit = spec.memory_mib * 1024 * 1024 if self._guest(spec) is not None else 0
        return GuestMemory(limit // 10, limit)

    def control_group(self, spec: GuestSpec) -> str | None:
        """Its name."""
        return spec.name

    def _require_thawed(self, spec: GuestSpec) -> None:
        if spec.name in self._host.frozen:
            raise AssertionError(f"{spec.name} is frozen and cannot do anything")

    async def open_console(self, spec: GuestSpec) -> Console:
        """One that shows what is typed there."""
        await self._begin("open_console")
        self._host.consoles[spec.vm_id], near = await echo_console()
        return near

    def close_console(self, spec: GuestSpec) -> None:
        """Its other end is gone."""
        self._host.consoles.pop(spec.vm_id).cancel()

    async def end_cause(self, spec: GuestSpec) -> EndCause | None:
        """What the test says."""
        self._fail("end_cause")
        return self._host.end_causes.get(spec.vm_id)

    def limit_events(self, spec: GuestSpec) -> LimitEvents:
        """As the test set it."""
        self._fail("limit_events")
        guest = self._guest(spec)
        return LimitEvents(0, 0) if guest is None else guest.limit_events

    async def sweep(self, keep: Sequence[str]) -> Sequence[str]:
        """End guests that nobody knows."""
        strangers = sorted(
            name for name in self._host.guests if name not in keep and name.startswith(self._prefix)
        )
        for name in strangers:
            self._host.exit(self._host.guests[name].spec.vm_id)
        return strangers

    def _start_display(self, guest: MemoryGuest, folder: MemoryFolder) -> None:
        gone = asyncio.Event()

        def ended() -> None:
            guest.display = folder.display_pid = None
            gone.set()

        folder.log, folder.options = "", folder.params or b""
        display = SimulatedNxagent(next(self._host.pids), folder.say, ended, lambda: folder.options)
        guest.display, guest.display_gone, folder.display_pid = display, gone, display.pid
        if guest.spec.vm_id not in self._host.silent:
            display.begin()

    def _guest(self, spec: GuestSpec) -> MemoryGuest | None:
        return self._host.guests.get(spec.name)

    async def _begin(self, method: str) -> None:
        await self._held(method)
        self._fail(method)

    async def _held(self, method: str) -> None:
        held = self._host.held.get(method)
        if held is not None:
            await held.wait()

    def _fail(self, method: str) -> None:
        error = self._host.failing.get(method)
        if error is not None:
            raise error


class MemoryRunFolders:
    """Satisfies vm.ports.RunFolders for guests of a MemoryHost."""

    def __init__(self, host: MemoryHost) -> None:
        self._host = host

    def path(self, vm_id: VmId) -> Path:
        """A name only."""
        return Path("/run/memory") / str(vm_id)

    async def create(self, vm_id: VmId, ids: IdRange) -> None:
        """A new one."""
        self._host.folders[vm_id] = MemoryFolder(ids)

    async def remove(self, vm_id: VmId) -> None:
        """Forget it."""
        self._host.folders.pop(vm_id, None)

    async def adopt(self, vm_id: VmId) -> bool:
        """Whether there is one."""
        return vm_id in self._host.folders

    async def sweep(self, keep: Sequence[VmId]) -> Sequence[str]:
        """Forget those of VMs that nobody knows."""
        strangers = sorted(set(self._host.folders) - set(keep))
        for vm_id in strangers:
            del self._host.folders[vm_id]
        return [str(self.path(vm_id)) for vm_id in strangers]

    def write_params(self, vm_id: VmId, content: bytes) -> None:
        """Keep them."""
        error = self._host.failing.get("write_params")
        if error is not None:
            raise error
        self._folder(vm_id).params = content

    def write_notice(self, vm_id: VmId, content: bytes) -> None:
        """Keep it."""
        self._folder(vm_id).notice = content

    def write_typed(self, vm_id: VmId, content: bytes) -> None:
        """Keep it."""
        self._folder(vm_id).typed = content

    def follow(
        self, vm_id: VmId, report: Callable[[Sequence[DisplayEvent]], None]
    ) -> Callable[[], None]:
        """Parse each line as it comes."""
        folder, parser = self._folder(vm_id), LogParser()

        def read(piece: str) -> None:
            events = parser.feed(piece.encode())
            if events:
                report(events)

        folder.readers.append(read)
        read(folder.log)
        return lambda: folder.readers.remove(read)

    def trim(self, vm_id: VmId) -> None:
        """Logs are short here."""

    def display_pid(self, vm_id: VmId) -> int | None:
        """The display's."""
        return self._folder(vm_id).display_pid

    def desktop_exit(self, vm_id: VmId) -> int | None:
        """As the test set it."""
        return self._folder(vm_id).desktop_exit

    def log_tail(self, vm_id: VmId) -> str:
        """All of it."""
        return self._folder(vm_id).log

    def _folder(self, vm_id: VmId) -> MemoryFolder:
        folder = self._host.folders.get(vm_id)
        if folder is None:
            raise PartGone(f"VM {vm_id} has no run folder")
        return folder


def memory_spec(number: int) -> GuestSpec:
    """What names guest `number`; a memory driver needs no more."""
    return GuestSpec(
        vm_id=VmId(number),
        generation=Generation(1),
        name=f"qvd-{number}",
        hostname="desk",
        account="alice",
        ids=IdRange(0x7000_0000),
        port=GuestPort(
            "qv1", "02:00:00:00:00:01", IPv4Interface("192.0.2.2/24"), IPv4Address("192.0.2.1"),
            egress=False,
        ),
        root=GuestRoot(Path("/roots/1"), Path("/homes/1")),
        run_folder=Path("/run/1"),
        memory_mib=512,
        cpu_pct=100,
        pids_max=100,
    )  # fmt: skip
