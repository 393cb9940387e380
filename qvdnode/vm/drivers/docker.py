"""Guests as containers of a Docker engine, confined exactly as those on LXC are.

The engine supervises: it starts a guest, runs the session script in it and keeps it by labels for
administrators to see. What the guest is made of (oci_config.py) is handed to runc by a runtime that
this driver brings (oci-runtime.sh): its root is the overlay that the node has mounted, its ids are
its own, and its control group has its name. So all that is asked of a guest that runs is answered
by the kernel (group_guests.py), and guests outlive engines that are away.
"""

import logging
import os
import platform
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import apparmor, links, pidfd
from qvdnode.host.apparmor import AppArmor
from qvdnode.host.cgroups import Cgroups, probe
from qvdnode.host.idmap import Namespaces, guest_namespace
from qvdnode.model.errors import FarmError, GuestFailed, HostFailed, TimedOut
from qvdnode.model.guest import DriverCheck, GuestProcess, GuestSpec
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.shield import run_shielded
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.core import docker_spec, lxc_config, oci_config
from qvdnode.vm.core.docker_spec import EngineFacts
from qvdnode.vm.core.oci_config import OciHost
from qvdnode.vm.drivers.docker_engine import CONFLICT, Engine, EngineRefused
from qvdnode.vm.drivers.docker_files import DockerFiles
from qvdnode.vm.drivers.group_guests import (
    ENDED_AT_ONCE,
    MOUNT_CGROUPS,
    NO_CGROUPS,
    SESSION_SCRIPT,
    GroupGuests,
    plug,
)

log = logging.getLogger(__name__)

CHECK_S: Final = 1.0
KILL_PAUSE_S: Final = 0.02
KILL_LIMIT_S: Final = 10.0
POLL_FIRST_S: Final = 0.01
POLL_MAX_S: Final = 0.1
APPARMOR_PROFILES: Final = {
    AppArmor.ABSENT: None,
    AppArmor.UNKNOWN: "docker-default",
    AppArmor.WITHOUT_PROFILE: "docker-default",
    AppArmor.READY: "docker-default",
}
"""The engine loads that profile when it starts, wherever the kernel has AppArmor."""


@dataclass(frozen=True, slots=True)
class DockerPlace:
    """Where the driver keeps its files, which engine it asks, and how its guests are called."""

    folder: Path
    """For this instance, below the state folder."""
    prefix: str
    """Every guest's name starts with it; `sweep` touches no other."""
    bridge: str
    socket: Path
    runtime: str
    """The name by which the engine knows the runtime of this instance."""


class DockerDriver(GroupGuests):
    """Satisfies vm.guest_driver.GuestDriver."""

    def __init__(self, place: DockerPlace, clock: Clock, *, cgroups: Cgroups | None = None) -> None:
        super().__init__(cgroups or probe(), oci_config.guests_group(place.prefix))
        self._place = place
        self._clock = clock
        self._engine = Engine(place.socket)
        self._files = DockerFiles(place.folder)
        self._namespaces = Namespaces(guest_namespace)

    async def check(self) -> DriverCheck:
        """Ask the engine for its versions and runtimes, and the host for control groups."""
        if not self._cgroups.hierarchies:
            return DriverCheck(problem=NO_CGROUPS, fix=MOUNT_CGROUPS)
        socket = self._place.socket
        if not self._engine.is_there:
            return DriverCheck(
                problem=f"there is no Docker engine at {socket}",
                fix="Run: apt-get install docker.io, or set drivers.docker.socket.",
                installed=False,
            )
        try:
            async with TimeLimit(CHECK_S):
                api, facts = await self._engine.version(), await self._engine.facts()
        except TimeoutError:
            return DriverCheck(
                problem=f"the engine at {socket} does not answer within {CHECK_S:g} s",
                fix="Run: systemctl restart docker",
            )
        except FarmError as error:
            return DriverCheck(problem=str(error).rstrip("."), fix="Run: systemctl status docker")
        return self._judged(api, facts)

    def _judged(self, api: str, facts: EngineFacts) -> DriverCheck:
        version = f"Docker {facts.version}"
        if docker_spec.too_old(api):
            oldest = ".".join(map(str, docker_spec.OLDEST_API))
            return DriverCheck(
                version, f"its interface is {api}, and {oldest} is the oldest that is of use",
                "Install Docker 20.10 or newer.",
            )  # fmt: skip
        if facts.rootless:
            return DriverCheck(
                version, "the engine is rootless, and sees none of the node's file systems",
                "Run an engine as root for desktops, and set drivers.docker.socket to its socket."
                " Desktops have host ids of their own there, too.",
            )  # fmt: skip
        name, script = self._place.runtime, str(self._files.runtime)
        entry = f'"runtimes": {{"{name}": {{"path": "{script}"}}}}'
        told = f"Put {entry} into /etc/docker/daemon.json, then run: systemctl reload docker"
        found = facts.runtimes.get(name)
        if found is None:
            return DriverCheck(version, f"the engine has no runtime {name}", told)
        if found != script:
            other = f"Set another drivers.docker.runtime if that is another node's. Else: {told}"
            return DriverCheck(version, f"the engine's runtime {name} is {found}", other)
        return _warned(version, facts)

    async def launch(self, spec: GuestSpec) -> GuestProcess:
        """Start the container; raises GuestFailed with the engine's own words, leaving nothing."""
        users = await self._namespaces.get(spec.ids.start, spec.ids.count)
        is_up = False
        try:
            text = self._config(spec, f"/proc/{os.getpid()}/fd/{users}")
            guest = await self._start(spec, text)
            await plug(spec, guest, self._place.bridge)
            is_up = True
        except (TimedOut, HostFailed) as error:
            raise GuestFailed(f"The container did not start: {error}", step="launch") from error
        finally:
            os.close(users)  # the guest holds it open
            if not is_up:
                # Its link goes with it. If a link of that name stays, it is another guest's.
                await self._end(spec.name)
        return guest

    def _config(self, spec: GuestSpec, user_namespace: str) -> oci_config.Json:
        text = self._files.filter_text
        host = OciHost(
            group=self._parent,
            machine=platform.machine(),
            apparmor=APPARMOR_PROFILES[apparmor.probe()],
            limits_swap=self._cgroups.limits_swap(),
            filter_text=lxc_config.nesting_filter(text) if spec.nesting else text,
        )
        return oci_config.config(spec, host, user_namespace)

    async def _start(self, spec: GuestSpec, config: oci_config.Json) -> GuestProcess:
        self._files.put()
        container = await self._made(spec)
        with self._files.configured(container, config, merges=spec.merges):
            await self._engine.start(container)
        guest = await self.find(spec)
        if guest is None:
            raise HostFailed(ENDED_AT_ONCE)
        return guest

    async def _made(self, spec: GuestSpec) -> str:
        body = docker_spec.body(spec, self._place.prefix, self._place.runtime)
        try:
            return await self._engine.create(spec.name, body)
        except EngineRefused as error:
            # One of ours is left from when no engine answered; one of others is let alone.
            if error.status != CONFLICT or not await self._remove(spec.name):
                raise
        return await self._engine.create(spec.name, body)

    async def run_session(self, spec: GuestSpec, verb: str, *, limit_s: float) -> int:
        """Run the verb as the guest's root, with nothing of ours in its environment."""
        pid = 0
        try:
            async with TimeLimit(limit_s):
                number = await self._engine.begin(spec.name, [SESSION_SCRIPT, verb])
                pause_s = POLL_FIRST_S
                while True:
                    code, pid = await self._engine.progress(number)
                    if code is not None:
                        return code
                    await self._clock.sleep(pause_s)
                    pause_s = min(POLL_MAX_S, 2 * pause_s)
        except TimeoutError as error:
            self._stop(spec, pid)
            raise TimedOut(f"The session script's {verb} took over {limit_s:g} s.") from error

    def _stop(self, spec: GuestSpec, pid: int) -> None:
        """End a program of the guest: engines have no word for it."""
        if pid > 1 and pid in self._cgroups.processes(self._group(spec.name)):
            pidfd.send(pid, signal.SIGKILL)

    async def kill(self, spec: GuestSpec) -> None:
        """End guest and container, remove group and link; raises HostFailed if some stay."""
        await self._end(spec.name)
        # The kernel would do it a moment later, when it clears the guest's network namespace.
        await run_shielded(links.remove_link(spec.port.link))

    async def sweep(self, keep: Sequence[str]) -> Sequence[str]:
        """End all other containers of this instance."""
        names = self._cgroups.children(self._parent)
        if self._engine.is_there:
            self._files.put()
            with suppress(FarmError):  # check() tells; a container without processes may wait
                for container in await self._engine.guests(self._place.prefix):
                    names |= set(container.names)
        leftovers = sorted(
            name for name in names - set(keep) if name.startswith(self._place.prefix)
        )
        for name in leftovers:
            log.warning("leftover_guest_ended", extra={"guest": name})
            await self._end(name)
        if not keep:
            self._cgroups.remove(self._parent)
        return leftovers

    async def _end(self, name: str) -> None:
        group = self._group(name)
        # By control group, which a guest's processes cannot leave, and which wants no engine.
        self._cgroups.kill(group)
        try:
            async with TimeLimit(KILL_LIMIT_S):
                while self._cgroups.processes(group):
                    self._cgroups.kill(group)
                    await self._clock.sleep(KILL_PAUSE_S)
        except TimeoutError as error:
            raise HostFailed(f"processes of {name} cannot be killed") from error
        if self._engine.is_there:
            try:
                await self._remove(name)
            except FarmError as error:
                # It runs no more; the next start of that name or of the node removes it.
                facts = {"guest": name, "because": str(error)}
                log.warning("container_left", extra=facts)
        self._cgroups.remove(group)

    async def _remove(self, name: str) -> bool:
        """Remove this instance's container of that name from the engine; whether there was one."""
        found = [it for it in await self._engine.guests(self._place.prefix) if name in it.names]
        for container in found:
            await self._engine.remove(container.container_id)
            self._files.forget(container.container_id)
        return bool(found)


def _warned(version: str, facts: EngineFacts) -> DriverCheck:
    """For an engine that works."""
    if facts.remaps_users:
        return DriverCheck(
            version,
            fix="Take userns-remap out of /etc/docker/daemon.json: desktops have ids of their"
            " own without it.",
            warning="its engine has userns-remap, with which desktops are not tested",
        )
    if facts.keeps_containers:
        return DriverCheck(version)
    return DriverCheck(
        version,
        fix='Put "live-restore": true into /etc/docker/daemon.json, then run: '
        "systemctl reload docker",
        warning="a restart of the engine ends them",
    )
