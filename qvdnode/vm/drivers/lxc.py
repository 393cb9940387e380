"""Guests as unprivileged LXC containers, through LXC's own programs and the kernel's files.

lxc-start and lxc-attach are all that is run, and neither stays: per guest there is one monitor.
Everything else (is it there, which pid, end it) is read from and written to its control group.
"""

import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import apparmor, links, merging, process
from qvdnode.host.apparmor import AppArmor
from qvdnode.host.cgroups import Cgroups, CgroupVersion, probe
from qvdnode.host.idmap import Namespaces, guest_namespace
from qvdnode.host.lxc_locks import remove_locks
from qvdnode.host.network_namespaces import NetworkNamespace
from qvdnode.host.probes import programs
from qvdnode.model.errors import GuestFailed, HostFailed
from qvdnode.model.guest import DriverCheck, GuestProcess, GuestSpec
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.shield import run_shielded
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.core import lxc_config
from qvdnode.vm.drivers.group_guests import (
    ENDED_AT_ONCE,
    MOUNT_CGROUPS,
    NO_CGROUPS,
    SESSION_SCRIPT,
    GroupGuests,
    plug,
)
from qvdnode.vm.drivers.lxc_control import Confined, ControlNetwork, network_of_monitor
from qvdnode.vm.drivers.private_files import put, write_private

log = logging.getLogger(__name__)

SECCOMP_PROFILE: Final = "guest.seccomp"
"""Beside lxc_config.py; LXC gets a copy, since that may be a path which it would read as syntax."""
LXC_START: Final = "lxc-start"
INSTALL: Final = "Run: apt-get install lxc"
CHECK_S: Final = 1.0
START_LIMIT_S: Final = 30.0
KILL_PAUSE_S: Final = 0.02
KILL_LIMIT_S: Final = 10.0
MONITOR_GRACE_S: Final = 2.0
LOG_TAIL: Final = 600
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
        return lxc_config.guests_group(self.prefix)


class LxcDriver(GroupGuests):
    """Satisfies vm.guest_driver.GuestDriver."""

    def __init__(
        self, settings: LxcSettings, clock: Clock, *, cgroups: Cgroups | None = None
    ) -> None:
        super().__init__(cgroups or probe(), settings.group)
        self._settings = settings
        self._clock = clock
        self._host = lxc_config.LxcHost(
            group=settings.group,
            seccomp_profile=str(settings.folder / SECCOMP_PROFILE),
            apparmor=APPARMOR_PROFILES[apparmor.probe()],
            unified=self._cgroups.version is CgroupVersion.V2,
            limits_swap=self._cgroups.limits_swap(),
        )
        self._control = ControlNetwork()
        self._has_files = False
        self._namespaces = Namespaces(guest_namespace)

    async def check(self) -> DriverCheck:
        """Ask LXC for its version, and the host for control groups."""
        if not self._cgroups.hierarchies:
            return DriverCheck(problem=NO_CGROUPS, fix=MOUNT_CGROUPS)
        version = await programs.version(str(PROGRAMS / LXC_START), "--version", limit_s=CHECK_S)
        if version is None:
            return DriverCheck(problem=f"{LXC_START} is not installed", fix=INSTALL)
        return DriverCheck(version=f"LXC {version}")

    async def launch(self, spec: GuestSpec) -> GuestProcess:
        """Start the container; raises GuestFailed with LXC's own errors, leaving nothing."""
        # LXC and its monitor run in a network namespace that host users cannot enter, or one of
        # them could answer in place of the monitor (lxc_control.py).
        network = await self._control.get()
        users = await self._namespaces.get(spec.ids.start, spec.ids.count)
        is_up = False
        try:
            place = f"/proc/{os.getpid()}/fd/{users}"
            guest = await self._start(
                spec, lxc_config.config_text(spec, self._host, place), network
            )
            await plug(spec, guest, self._settings.bridge)
            is_up = True
        finally:
            os.close(users)  # the guest holds it open
            if not is_up:
                # Its link goes with it. If a link of that name stays, it is another guest's.
                await self._end(spec.name)
        return guest

    async def _start(self, spec: GuestSpec, text: str, network: NetworkNamespace) -> GuestProcess:
        config, errors = self._file(spec.name, "conf"), self._file(spec.name, "log")
        self._put_files()
        errors.unlink(missing_ok=True)
        write_private(config, text)
        # "-d" makes the monitor a daemon: a child of init, which outlives this process.
        code = await self._run(
            network, spec, LXC_START, "-d", "-f", str(config), "-o", str(errors),
            "-l", "WARN", limit_s=START_LIMIT_S,
        )  # fmt: skip
        # LXC's exit code does not tell whether the guest's init still runs.
        guest = await self.find(spec) if code == 0 else None
        if guest is None:
            # Read now: the file goes with the container.
            raise GuestFailed(f"The container did not start: {_errors_in(errors)}", step="launch")
        return guest

    async def run_session(self, spec: GuestSpec, verb: str, *, limit_s: float) -> int:
        """Run the verb as the guest's root, with nothing of ours in its environment."""
        self._put_files()
        group = lxc_config.monitor_group(self._host, spec.name)
        found = network_of_monitor(spec.name, lambda: self._cgroups.processes(group))
        with contextlib.closing(found) as network:
            return await self._run(
                network, spec, "lxc-attach", "-f", str(self._settings.folder / ATTACH_CONFIG),
                "--clear-env", "--", SESSION_SCRIPT, verb, limit_s=limit_s,
            )  # fmt: skip

    async def kill(self, spec: GuestSpec) -> None:
        """End guest and monitor, remove groups and link; raises HostFailed if some stay."""
        await self._end(spec.name)
        # The kernel would do it a moment later, when it clears the guest's network namespace.
        await run_shielded(links.remove_link(spec.port.link))

    async def sweep(self, keep: Sequence[str]) -> Sequence[str]:
        """End all other containers of this instance."""
        names = {
            name.removeprefix("monitor-") for name in self._cgroups.children(self._host.group)
        } | {path.stem for path in self._settings.folder.glob(f"{self._settings.prefix}*.conf")}
        leftovers = sorted(
            name for name in names - set(keep) if name.startswith(self._settings.prefix)
        )
        for name in leftovers:
            log.warning("leftover_guest_ended", extra={"guest": name})
            await self._end(name)
        if not keep:
            self._cgroups.remove(self._host.group)
            self._cgroups.remove(lxc_config.pivot_group(self._host))
            remove_locks(self._settings.folder)
        return leftovers

    def _put_files(self) -> None:
        if not self._has_files:
            self._settings.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            text = Path(lxc_config.__file__).with_name(SECCOMP_PROFILE).read_text(encoding="utf-8")
            nesting = f"{SECCOMP_PROFILE}{lxc_config.NESTING_SUFFIX}"
            put(self._settings.folder / SECCOMP_PROFILE, text)
            put(self._settings.folder / nesting, lxc_config.nesting_filter(text))
            write_private(self._settings.folder / ATTACH_CONFIG, f"{lxc_config.FILTER_ON_FILTER}\n")
            self._has_files = True

    async def _end(self, name: str) -> None:
        group, monitor = self._group(name), lxc_config.monitor_group(self._host, name)
        # By control group, which a guest's processes cannot leave; pids could be used again.
        self._cgroups.kill(group)
        try:
            # The monitor notices that its guest is dead, cleans up and ends; unless it hangs.
            await self._emptied(group, monitor, limit_s=MONITOR_GRACE_S)
        except TimeoutError:
            self._cgroups.kill(monitor)
            try:
                await self._emptied(group, monitor, limit_s=KILL_LIMIT_S)
            except TimeoutError as error:
                raise HostFailed(f"processes of {name} cannot be killed") from error
        for left in (group, monitor):
            self._cgroups.remove(left)
        for kind in ("conf", "log"):
            self._file(name, kind).unlink(missing_ok=True)

    async def _emptied(self, *groups: str, limit_s: float) -> None:
        async with TimeLimit(limit_s):
            while any(self._cgroups.processes(group) for group in groups):
                self._cgroups.kill(groups[0])
                await self._clock.sleep(KILL_PAUSE_S)

    async def _run(
        self,
        network: NetworkNamespace,
        spec: GuestSpec,
        program: str,
        *options: str,
        limit_s: float,
    ) -> int:
        place = self._settings.folder
        argv: list[str | Path] = [PROGRAMS / program, "-n", spec.name, "-P", place, *options]
        return await process.exit_code(
            merging.argv(argv) if spec.merges else argv,
            env={"PATH": SEARCH_PATH},
            limit_s=limit_s,
            enter=Confined(network).enter,
        )

    def _file(self, name: str, kind: str) -> Path:
        return self._settings.folder / f"{name}.{kind}"


def _errors_in(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ENDED_AT_ONCE
    errors = [line for line in text.splitlines() if " ERROR " in line]
    return " / ".join(errors)[:LOG_TAIL] or ENDED_AT_ONCE
