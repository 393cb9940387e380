"""Runs this node's membership in its farm, in a thread and an event loop of its own.

A blocked main loop must not make a healthy node look dead, so nothing here waits for the main loop.
"""

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event as Flag
from types import MappingProxyType
from typing import Final

from qvdnode.cluster.core.load_table import KnownLoad, LoadTable
from qvdnode.cluster.core.swim.effects import EpochRaised, Event, MemberChanged, MemberEvent
from qvdnode.cluster.core.swim.machine import Identity, Swim
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.cluster.gossip_port import GossipPort
from qvdnode.cluster.keyring import Keyring
from qvdnode.cluster.load_exchange import LoadExchange
from qvdnode.cluster.swim_shell import SwimShell
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.first_error import first_farm_error
from qvdnode.runtime.supervise import Supervisor
from qvdnode.wire.load_record import LoadRecord
from qvdnode.wire.member_metadata import MemberMetadata
from qvdnode.wire.swim import INSTANCE_BYTES, Address, MemberState, Record

log = logging.getLogger(__name__)

LEAVE_LIMIT_S: Final = 0.5
"""Two rounds to three members each; they tell the others. Users wait for a restart meanwhile."""
LEAVE_PAUSE_S: Final = 0.05
OFTEN: Final = (MemberEvent.SUSPECTED, MemberEvent.RECOVERED, MemberEvent.UPDATED)
"""Events that packet loss or load causes often; logged at level DEBUG."""


def new_instance() -> bytes:
    """Return a random id for this process."""
    return secrets.token_bytes(INSTANCE_BYTES)


@dataclass(slots=True)
class _Running:
    """The thread's loop and shell, for calls from other threads."""

    loop: asyncio.AbstractEventLoop
    shell: SwimShell
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    announce_leave: bool = True


class Membership:
    """The membership of this node. Start and stop it once; every method is thread-safe."""

    def __init__(  # noqa: PLR0913 - each is a part of the member that it runs
        self,
        identity: Identity,
        port: GossipPort,
        keyring: Keyring,
        clock: Clock,
        told: Callable[[Event], None],
        timing: Timing | None = None,
        reach: Keyring | None = None,
    ) -> None:
        """`told` is called with each event in the membership's thread, and must not block.

        With `reach` it answers `qvdnode doctor` on other hosts (cluster.reach).

        The port is the membership's from now on: it closes it at its end.
        """
        self._identity = identity
        self._port = port
        self._keyring = keyring
        self._clock = clock
        self._told = told
        self._timing = timing or Timing()
        self._reach = reach
        self._known: Mapping[str, Record] = {}
        self._loads = LoadTable(identity.epoch, random.Random(secrets.randbits(64)))
        self._running: _Running | None = None
        self._began = Flag()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="gossip")
        self._done: Future[None] | None = None

    @property
    def known(self) -> Mapping[str, Record]:
        """The latest record of every other member, by name; read-only."""
        return MappingProxyType(self._known)

    @property
    def loads(self) -> Mapping[int, KnownLoad]:
        """The newest load of each node that is up, by node id; this node's own included."""
        return self._loads.known

    def suspects(self) -> frozenset[int]:
        """The nodes that do not answer and are not given up yet, by node id."""
        return frozenset(self._nodes_in(MemberState.SUSPECT))

    async def start(self, seeds: Sequence[Address]) -> None:
        """Begin to listen, then join in the background."""
        self._done = self._executor.submit(self._run, tuple(seeds))
        self._done.add_done_callback(lambda _: self._began.set())
        # In a thread of its own, so that a blocked loop of the node does not make others give it
        # up. The start returns when the thread listens, or has failed.
        await asyncio.to_thread(self._began.wait)
        if self._done.done():
            self._executor.shutdown(wait=False)
            self._done.result()

    async def wait(self) -> None:
        """Return once the membership has stopped; raises the error that ended it."""
        if self._done is None:
            raise RuntimeError("the membership was not started")
        # A cancelled caller must not end the thread's work.
        await asyncio.shield(asyncio.wrap_future(self._done))

    async def stop(self, *, announce_leave: bool = True) -> None:
        """Stop, after telling the others unless told not to.

        Raises the error that had ended the membership before.
        """
        if self._done is not None:  # a start that was cancelled goes on in the thread
            await asyncio.to_thread(self._began.wait)
        running = self._running
        if running is not None:
            running.announce_leave = announce_leave
            self._call(running.stop.set)
        if self._done is not None:
            await self.wait()
        self._executor.shutdown(wait=False)

    def announce(self, metadata: bytes) -> None:
        """Spread new metadata of this member, at most 512 bytes."""
        self._call(lambda: self._shell().announce(metadata))

    def publish(self, load: LoadRecord) -> None:
        """Tell the farm this node's load; once a second, or it counts as late."""
        self._call(lambda: self._loads.publish(load, self._clock.monotonic_s()))

    def set_keyring(self, keyring: Keyring) -> None:
        """Use other keys from now on; `keyring` says in which order to change them."""
        self._call(lambda: setattr(self._shell(), "keyring", keyring))

    def set_seeds(self, seeds: Sequence[Address]) -> None:
        """Replace the addresses at which to look for members, for example by the database's."""
        self._call(lambda: self._shell().set_seeds(tuple(seeds)))

    def _shell(self) -> SwimShell:
        if self._running is None:
            raise RuntimeError("the membership does not run")
        return self._running.shell

    def _call(self, work: Callable[[], None]) -> None:
        """Run `work` in the thread; do nothing once the thread has ended."""
        running = self._running
        if running is not None:
            with contextlib.suppress(RuntimeError):  # its loop was closed just now
                running.loop.call_soon_threadsafe(work)

    def _run(self, seeds: tuple[Address, ...]) -> None:
        asyncio.run(self._member(seeds))

    async def _member(self, seeds: tuple[Address, ...]) -> None:
        swim = Swim(self._identity, self._timing, random.Random(secrets.randbits(64)))
        loads = LoadExchange(self._identity.farm, self._loads, self._timing)
        shell = SwimShell(
            swim, self._timing, self._keyring, self._clock, self._tell, loads, self._reach
        )
        running = _Running(asyncio.get_running_loop(), shell)
        self._running = running
        try:
            # The machine runs until this scope ends it: cancelling the task is the normal stop.
            async with Supervisor("membership") as scope:
                _ = scope.essential("shell", shell.run(self._port, seeds, self._began.set))
                await running.stop.wait()
                if running.announce_leave:
                    await self._announce_leave(shell)
        except BaseExceptionGroup as group:
            raise first_farm_error(group) or group from None
        finally:
            self._running = None

    async def _announce_leave(self, shell: SwimShell) -> None:
        shell.leave()
        deadline_s = self._clock.monotonic_s() + LEAVE_LIMIT_S
        while not shell.leave_spread() and self._clock.monotonic_s() < deadline_s:  # noqa: ASYNC110 - the machine tells no event for it
            await asyncio.sleep(LEAVE_PAUSE_S)

    def _tell(self, event: Event) -> None:
        if isinstance(event, MemberChanged):
            member = event.member
            # A new table in place of a change: other threads read it without a lock.
            self._known = {**self._known, member.name: member}
            self._loads.keep(self._nodes_in(MemberState.ALIVE, MemberState.SUSPECT))
            facts = {"change": event.event, "member": member.name, "source": event.source}
            log.log(
                logging.DEBUG if event.event in OFTEN else logging.INFO,
                "member_changed",
                extra={**facts, "address": member.address.host},
            )
        else:
            if isinstance(event, EpochRaised):
                self._loads.raise_epoch(event.epoch)
            log.warning("membership_notice", extra={"notice": repr(event)})
        self._told(event)

    def _nodes_in(self, *states: MemberState) -> set[int]:
        members = (member for member in self._known.values() if member.state in states)
        metadata = (MemberMetadata.decode(member.metadata) for member in members)
        return {known.node_id for known in metadata if known is not None}
