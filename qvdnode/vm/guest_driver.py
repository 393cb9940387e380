"""The port to what runs guests. What a new driver (KVM, Docker, ...) must supply stands here.

Adding a driver takes three places, and nothing else names it:

1. `drivers/NAME.py`: a class that meets GuestDriver. What is only computed (a configuration, an
   argv, a protocol's codec) goes to `core/`, where it is tested without a host.
2. One line in daemon/drivers.py, the table of drivers by the names that flavours use.
3. One entry in KITS of tests/contract/test_guest_driver.py. That suite is the contract: it runs
   the same tests over every driver, on the real thing.

Who does what
-------------
Before `launch` the node has made everything that a GuestSpec names: root and home are mounted, the
ids reserved, the run folder is there and empty, the address belongs to this guest and the packet
rules for its link are in place. After `kill` the node removes it all again. A driver makes what
lies between: the guest's processes with their limits and their confinement, its network device,
and files of its own, which `kill` removes. It keeps no list of guests: after a restart of the node
a new instance of the driver is handed the old specs and must find the guests by them (`find`).

=============== =================================================================================
launch          once per start, when everything is ready
run_session     the script's verbs: start and resume for a client, stop before the guest's end
signal_display  SIGHUP, which resumes a suspended display
dismiss_display when a display listens for a client with other parameters
wait_display    for as long as a display runs
wait_exit       for as long as the guest runs
power_off, kill power_off asks; kill comes after the time limit, or at once. Both may come again
find            at the start of the node, for each state file that names this driver
sweep           at the start of the node, and at its end if guests are to end with it
memory          every few seconds, for as long as the guest runs
control_group   when the node freezes or thaws a guest that nobody uses
limit_events    every few seconds, for as long as the guest runs
check           at the start of the node, then periodically; and by `qvdnode doctor`
=============== =================================================================================

What a spec means to a driver
-----------------------------
root            `spec.root.root` is a directory tree on the host, mounted and complete, whose files
                belong to the host ids of `spec.ids`; `spec.root.home` is the user's home, another
                such tree. The guest must see them as its `/` and as /home/ACCOUNT, with ids counted
                from 0. Both are limited in size already. A container mounts them; a guest with a
                kernel of its own shares them (virtiofs), and maps the ids.
run folder      `spec.run_folder` must appear as /run/qvd. The node reads the display's log there as
                it grows, by inotify: writes of the guest must arrive as writes on the host.
network         `spec.port` has the link's name on the host, the MAC and the address. The driver
                makes the guest's only network device with its host's end named exactly
                `spec.port.link` (a veth pair or a tap), and joins it to the bridge. The rules match
                that name, so they hold from the first packet. The guest is configured with address
                and gateway; what it says itself of either is not believed.
limits          `memory_mib`, `cpu_pct` (100 is one core) and `pids_max` hold for everything that
                runs in the guest; what the driver itself needs beside it is the host's.
merging         with `merges` the kernel may merge equal memory of the guest (KSM) with that of all
                others that have it; without, it must not.
confinement     is complete before the first program of the guest runs. No open file of the node
                reaches the guest (host/process.py sees to it for children that it starts).
lifetime        guests outlive the node's process. They are no children of it, belong to no control
                group of its service, and nothing of theirs depends on a thread or file of the node.

How processes are named
-----------------------
A GuestProcess is the one process of the host that lives as long as the guest: PID 1 of a container,
or the hypervisor of a virtual machine. Pids are used again, so start ticks go with it.

A *guest pid* is a number of the guest's own: of its pid namespace, or of its own kernel. The
session script writes the display's into the run folder. Only the driver can say which process it
means, and it must look among this guest's processes alone, since a guest may write any number
there. A guest with a kernel of its own has no process on the host to signal or to wait for: its
driver passes guest pids to a helper inside (a guest agent), and polls or waits there.

Errors
------
GuestFailed: this guest did not do what it should; HostFailed: the host or the engine did not;
TimedOut: no answer within a limit. Messages are for users and administrators. A cancelled call
undoes what it began or leaves what `kill` removes.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from qvdnode.model.guest import (
    DriverCheck,
    EndCause,
    GuestMemory,
    GuestProcess,
    GuestSpec,
    HostNeed,
    LimitEvents,
)


@runtime_checkable
class Ballooning(Protocol):
    """What a driver meets besides if its guests can be asked to give memory back."""

    async def settle_balloon(self, spec: GuestSpec, need: HostNeed) -> int:
        """Take memory of the guest, or return it, by what host and guest need.

        Called every few seconds; returns how many MiB are taken. Raises HostFailed, TimedOut.
        """
        ...


@runtime_checkable
class Costly(Protocol):
    """What a driver meets besides if its guests cost the host much beside their own memory."""

    def overhead_mib(self) -> int:
        """What each guest costs, counted when it is admitted."""
        ...


@runtime_checkable
class Explaining(Protocol):
    """What a driver meets besides if it can tell why a guest ended by itself."""

    async def end_cause(self, spec: GuestSpec) -> EndCause | None:
        """Why a guest that is gone ended, before `kill` removes what tells it; None: not known."""
        ...


Console: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""What a console shows, and what is typed there."""


@runtime_checkable
class WithConsole(Protocol):
    """What a driver meets besides if its guests have a console of their own."""

    async def open_console(self, spec: GuestSpec) -> Console:
        """Open the guest's console, with a shell of its root where it can run one.

        Its owner closes the writer, and then calls close_console. Raises HostFailed, TimedOut.
        """
        ...

    def close_console(self, spec: GuestSpec) -> None:
        """End that shell; does not wait. Safe to repeat."""
        ...


class GuestDriver(Protocol):
    """One kind of guest. Every method is safe to repeat; methods of different guests overlap."""

    async def check(self) -> DriverCheck:
        """Whether guests can be started on this host now. Changes nothing; never raises.

        Takes a second at most: an engine that does not answer is a problem to report.
        """
        ...

    async def launch(self, spec: GuestSpec) -> GuestProcess:
        """Start the guest and return once its PID 1 runs; raises GuestFailed and leaves nothing.

        For a guest with a kernel of its own: once its init runs, not merely its hypervisor.
        """
        ...

    async def run_session(self, spec: GuestSpec, verb: str, *, limit_s: float) -> int:
        """Run the session script's verb in the guest, as its root, and return its exit code.

        The codes are those of wire/session_exit.py. Nothing of the node's environment reaches the
        script, and its output is discarded. Raises TimedOut after `limit_s`, HostFailed or
        GuestFailed when it could not be run.
        """
        ...

    async def signal_display(self, spec: GuestSpec, pid: int, signal: int) -> bool:
        """Send a signal to the process with that guest pid; False if this guest has none.

        The signal is sent (handed to the kernel, or written to the guest's agent) before the
        method suspends for the first time. SIGHUP is a toggle: the VM's actor calls this right
        after it has seen that the display is suspended, and anything awaited before the signal
        would make that check useless. Afterwards the method may wait for a few seconds at most,
        since the VM's actor waits for it.

        Raises HostFailed or TimedOut only if the signal was not sent. Where that is not known,
        returns True: the display's log tells what happened.
        """
        ...

    async def dismiss_display(self, spec: GuestSpec, port: int) -> None:
        """Make a display that listens give up its wait, by a connection that ends at once.

        A display that does not listen any more is left alone. Raises TimedOut.
        """
        ...

    async def wait_display(self, spec: GuestSpec, pid: int) -> None:
        """Return once the process with that guest pid is gone; at once if it is gone already."""
        ...

    async def wait_exit(self, process: GuestProcess) -> None:
        """Return once the guest is gone; at once if it is gone already."""
        ...

    async def power_off(self, spec: GuestSpec) -> None:
        """Ask the guest to end by itself; returns without waiting."""
        ...

    async def kill(self, spec: GuestSpec) -> None:
        """End every process of the guest, remove its network device; return once none is left."""
        ...

    async def find(self, spec: GuestSpec) -> GuestProcess | None:
        """The running guest of exactly this spec, or None; used to adopt after a restart."""
        ...

    async def memory(self, spec: GuestSpec) -> GuestMemory:
        """What the guest uses now."""
        ...

    def control_group(self, spec: GuestSpec) -> str | None:
        """The control group of all processes of the guest; None if it must not be frozen.

        Of all hierarchies of the host it is the same name below the mount point. A frozen guest
        answers no other method but `find`, `memory`, `wait_exit` and `kill`, which thaws it.
        """
        ...

    def limit_events(self, spec: GuestSpec) -> LimitEvents:
        """How often the guest met its limits since it started; zeros for one that is gone.

        Zero as well for a limit that the driver cannot count. Blocks, for two short reads at most:
        a driver that must ask an engine or an agent keeps what it was told last.
        """
        ...

    async def sweep(self, keep: Sequence[str]) -> Sequence[str]:
        """End and remove guests of this instance whose name is not in `keep`; name them.

        Guests of other instances, and of anybody else who uses the same engine, are left alone:
        names begin with the instance's prefix.
        """
        ...
