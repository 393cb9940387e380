"""Guests as unprivileged LXC containers, through LXC's own programs and the kernel's files.

lxc-start and lxc-attach are all that is run, and neither stays: per guest there is one monitor.
Everything else (is it there, which pid, end it) is read from and written to its control group.
"""

# tested-by: tests/contract/test_guest_driver.py

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import apparmor, guest_network, pidfd, process
from qvdnode.host.apparmor import AppArmor
from qvdnode.host.cgroups import Cgroups, Layout, probe
from qvdnode.host.idmap import Namespaces, guest_namespace
from qvdnode.model.errors import GuestFailed, HostFailed, TimedOut
from qvdnode.model.guest import GuestMemory, GuestProcess, GuestSpec
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.core import lxc_config, socket_filter
from qvdnode.vm.drivers.lxc_control import LxcControl, write_private

log = logging.getLogger(__name__)

SESSION_SCRIPT: Final = "/usr/lib/qvd/session"
SECCOMP_PROFILE: Final = "guest.seccomp"
"""Beside lxc_config.py; LXC gets a copy, since that may be a path which it would read as syntax."""
START_LIMIT_S: Final = 30.0
LAUNCH_TRIES: Final = 3
"""With a new control socket each, when somebody has taken the name of the one before."""
NAME_TAKEN: Final = "already running"
DIAL_LIMIT_S: Final = 5.0
KILL_PAUSE_S: Final = 0.02
KILL_LIMIT_S: Final = 10.0
MONITOR_GRACE_S: Final = 2.0
LOG_TAIL: Final = 600
ENDED_AT_ONCE: Final = f"{lxc_config.INIT} of the image ended at once."
APPARMOR_PROFILES: Final = {
    AppArmor.ABSENT: None,
    AppArmor.UNKNOWN: "unconfined",
    AppArmor.WITHOUT_PROFILE: "unconfined",  # else LXC refuses to start; the doctor warns
    AppArmor.READY: apparmor.GUEST_PROFILE,
}
PROGRAMS: Final = Path("/usr/bin")
ATTACH_CONFIG: Final = "attach.conf"
"""lxc-attach asks the monitor which filter to take, but not whether it may take a second one."""
SEARCH_PATH: Final = "/usr/sbin:/sbin"
"""Without /usr/bin, LXC does not find newuidmap and, being root, writes the id map itself; with it,
the ranges would have to stand in /etc/subuid for root."""


@dataclass(frozen=True, slots=True)
class LxcSettings:
    """Where the driver keeps its files and how its guests are called."""

    folder: Path
    """LXC's own folder for this instance, below the state folder."""
    prefix: str
    """Every guest's name starts with it; `sweep` touches no other."""
    bridge: str

    @property
    def group(self) -> str:
        """The control group below which this instance's guests live."""
        return f"{self.prefix}guests"


class LxcDriver:
    """Satisfies vm.ports.GuestDriver."""

    def __init__(
        self, settings: LxcSettings, clock: Clock, *, cgroups: Cgroups | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._cgroups = cgroups or probe()
        self._host = lxc_config.LxcHost(
            bridge=settings.bridge,
            group=settings.group,
            seccomp_profile=str(settings.folder / SECCOMP_PROFILE),
            apparmor=APPARMOR_PROFILES[apparmor.look()],
            unified=self._cgroups.layout is Layout.V2,
            limits_swap=self._cgroups.limits_swap(),
        )
        settings.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._control = LxcControl(settings.folder)
        self._has_files = False
        self._namespaces = Namespaces(guest_namespace)

    async def launch(self, spec: GuestSpec) -> GuestProcess:
        """Start the container; raises GuestFailed with LXC's own words, leaving nothing."""
        for _ in range(LAUNCH_TRIES):
            guest = await self._launch(spec)
            if guest is not None:
                return guest
            log.warning("control_socket_taken", extra={"guest": spec.name})
        raise GuestFailed(
            "The container did not start: another user of the host takes the names of its control "
            "sockets. Find who it is with: ss -xlp | grep lxc",
            step="launch",
        )

    async def _launch(self, spec: GuestSpec) -> GuestProcess | None:
        """Start it once; None when the name of its control socket was somebody else's."""
        config, words = self._file(spec.name, "conf"), self._file(spec.name, "log")
        self._put_files()
        words.unlink(missing_ok=True)
        guest: GuestProcess | None = None
        ready, taken, said = False, False, ENDED_AT_ONCE
        namespace = await self._namespaces.get(spec.ids.start, spec.ids.count)
        try:
            self._control.draw(spec.name)
            place = f"/proc/{os.getpid()}/fd/{namespace}"
            write_private(config, lxc_config.config_text(spec, self._host, place))
            code = await self._control.unless_taken(
                spec.name,
                self._run(
                    "lxc-start", spec.name, "-d", "-f", str(config), "-o", str(words), "-l", "WARN",
                    limit_s=START_LIMIT_S,
                ),
            )  # fmt: skip
            guest = await self.find(spec) if code == 0 else None
            if guest is None:
                said = _last_words(words)  # which go with the container
                taken = code is None or NAME_TAKEN in said
            else:
                # No rule lets its IPv6 out, and its link would have a network full of neighbours.
                await asyncio.to_thread(guest_network.switch_ipv6_off, guest.pid, lxc_config.LINK)
                ready = True
        finally:
            os.close(namespace)  # the guest has it
            if not ready:
                await self.kill(spec)
        if guest is None and not taken:
            raise GuestFailed(f"The container did not start: {said}", step="launch")
        return guest

    async def run_session(self, spec: GuestSpec, verb: str, *, limit_s: float) -> int:
        """Run the verb as the guest's root, with nothing of ours in its environment."""
        self._put_files()
        self._control.require_own(spec.name)
        return await self._run(
            "lxc-attach", spec.name, "-f", str(self._settings.folder / ATTACH_CONFIG),
            "--clear-env", "--", SESSION_SCRIPT, verb, limit_s=limit_s,
        )  # fmt: skip

    async def signal_display(self, spec: GuestSpec, pid: int, signal: int) -> bool:
        """Signal the process of this guest that has that guest pid."""
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

    async def kill(self, spec: GuestSpec) -> None:
        """End guest and monitor and remove their groups; raises HostFailed if some stay."""
        await self._end(spec.name)

    async def find(self, spec: GuestSpec) -> GuestProcess | None:
        """The first process of the guest's group: PID 1 in a namespace of its own."""
        for pid in sorted(self._cgroups.processes(self._group(spec.name))):
            ticks = pidfd.start_ticks(pid)
            if ticks is not None and pidfd.guest_pid(pid) == 1:
                return GuestProcess(pid, ticks)
        return None

    async def memory(self, spec: GuestSpec) -> GuestMemory:
        """The group's charge and limit."""
        return GuestMemory(*self._cgroups.memory(self._group(spec.name)))

    async def sweep(self, keep: Sequence[str]) -> Sequence[str]:
        """End containers of this instance that nobody knows."""
        names = {
            name.removeprefix("monitor-") for name in self._cgroups.children(self._host.group)
        } | {path.stem for path in self._settings.folder.glob(f"{self._settings.prefix}*.conf")}
        strangers = sorted(
            name for name in names - set(keep) if name.startswith(self._settings.prefix)
        )
        for name in strangers:
            log.warning("stray_guest_ended", extra={"guest": name})
            await self._end(name)
        if not keep:
            self._cgroups.remove(self._host.group)
            self._cgroups.remove(lxc_config.pivot_group(self._host))
        return strangers

    def _put_files(self) -> None:
        if not self._has_files:
            profile = self._settings.folder / SECCOMP_PROFILE
            staging = profile.with_name(f"{SECCOMP_PROFILE}.new")
            text = Path(lxc_config.__file__).with_name(SECCOMP_PROFILE).read_text(encoding="utf-8")
            write_private(staging, text)
            staging.replace(profile)
            write_private(self._settings.folder / ATTACH_CONFIG, f"{lxc_config.FILTER_ON_FILTER}\n")
            self._has_files = True

    async def _end(self, name: str) -> None:
        group, monitor = self._group(name), lxc_config.monitor_group(self._host, name)
        self._cgroups.kill(group)
        try:
            # The monitor sees its guest die and tidies up by itself; one that hangs is ended too.
            await self._emptied(group, monitor, limit_s=MONITOR_GRACE_S)
        except TimeoutError:
            self._cgroups.kill(monitor)
            try:
                await self._emptied(group, monitor, limit_s=KILL_LIMIT_S)
            except TimeoutError as error:
                raise HostFailed(f"processes of {name} cannot be killed") from error
        for left in (group, monitor):
            self._cgroups.remove(left)
        self._control.forget(name)
        for kind in ("conf", "log"):
            self._file(name, kind).unlink(missing_ok=True)

    async def _emptied(self, *groups: str, limit_s: float) -> None:
        async with TimeLimit(limit_s):
            while any(self._cgroups.processes(group) for group in groups):
                self._cgroups.kill(groups[0])
                await self._clock.sleep(KILL_PAUSE_S)

    async def _run(self, program: str, name: str, *options: str, limit_s: float) -> int:
        path = self._control.path(name)
        return await process.exit_code(
            [str(PROGRAMS / program), "-n", name, "-P", path, *options],
            env={"PATH": SEARCH_PATH},
            limit_s=limit_s,
            seccomp_filter=socket_filter.program(),
        )

    def _host_pid(self, spec: GuestSpec, guest_pid: int) -> int | None:
        # A guest may lie about pids, so the pid is looked up among the guest's own processes.
        if guest_pid <= 1:
            return None
        pids = self._cgroups.processes(self._group(spec.name))
        return next((pid for pid in sorted(pids) if pidfd.guest_pid(pid) == guest_pid), None)

    def _group(self, name: str) -> str:
        return lxc_config.guest_group(self._host, name)

    def _file(self, name: str, kind: str) -> Path:
        return self._settings.folder / f"{name}.{kind}"


def _signal(number: int) -> signal.Signals:
    return signal.Signals(number)


def _last_words(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ENDED_AT_ONCE
    errors = [line for line in text.splitlines() if " ERROR " in line]
    return " / ".join(errors)[:LOG_TAIL] or ENDED_AT_ONCE
