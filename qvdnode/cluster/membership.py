"""This node's membership in its farm: a thread of its own with a loop of its own.

A main loop that stands still must not make a healthy node look dead, so nothing here waits for it.
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

GOODBYE_LIMIT_S: Final = 3.0
GOODBYE_PAUSE_S: Final = 0.05
OFTEN: Final = (MemberEvent.SUSPECTED, MemberEvent.RECOVERED, MemberEvent.UPDATED)
"""What packet loss or load alone brings often; logged for debugging only."""


def new_instance() -> bytes:
    """An id for this process."""
    return secrets.token_bytes(INSTANCE_BYTES)


@dataclass(slots=True)
class _Running:
    """What the thread is doing, for other threads."""

    loop: asyncio.AbstractEventLoop
    shell: SwimShell
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    goodbye: bool = True


class Membership:
    """Started once, stopped once; every method may be called from any thread."""

    def __init__(
        self,
        identity: Identity,
        keyring: Keyring,
        clock: Clock,
        told: Callable[[Event], None],
        timing: Timing | None = None,
    ) -> None:
        """`told` is called with each event in the membership's thread, and must not block."""
        self._identity = identity
        self._keyring = keyring
        self._clock = clock
        self._told = told
        self._timing = timing or Timing()
        self._known: Mapping[str, Record] = {}
        self._loads = LoadTable(identity.epoch, random.Random(secrets.randbits(64)))
        self._running: _Running | None = None
        self._began = Flag()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="gossip")
        self._done: Future[None] | None = None

    @property
    def known(self) -> Mapping[str, Record]:
        """The other members by name, as they were last told; not to be changed."""
        return MappingProxyType(self._known)

    @property
    def loads(self) -> Mapping[int, KnownLoad]:
        """The newest load of each node that is up, by node id; this node's own included."""
        return self._loads.known

    async def start(self, seeds: Sequence[Address]) -> None:
        """Take the port and join in the background; raises HostFailed."""
        self._done = self._executor.submit(self._run, tuple(seeds))
        self._done.add_done_callback(lambda _: self._began.set())
        await asyncio.to_thread(self._began.wait)
        if self._done.done():
            self._executor.shutdown(wait=False)
            self._done.result()

    async def wait(self) -> None:
        """Return when it was stopped; raises what it failed with."""
        if self._done is None:
            raise RuntimeError("the membership was not started")
        # Whoever waits may be cancelled, which is not to end the thread's work.
        await asyncio.shield(asyncio.wrap_future(self._done))

    async def stop(self, *, goodbye: bool = True) -> None:
        """End it, after a word to the others if `goodbye`; raises what it had failed with."""
        running = self._running
        if running is not None:
            running.goodbye = goodbye
            self._call(running.stop.set)
        if self._done is not None:
            await self.wait()
        self._executor.shutdown(wait=False)

    def announce(self, metadata: bytes) -> None:
        """Tell all members other metadata, of at most 512 bytes."""
        self._call(lambda: self._shell().announce(metadata))

    def publish(self, load: LoadRecord) -> None:
        """Tell the farm this node's load; once a second, or it counts as late."""
        self._call(lambda: self._loads.publish(load, self._clock.monotonic_s()))

    def set_keyring(self, keyring: Keyring) -> None:
        """Use other keys from now on; see `keyring` for the order that loses nobody."""
        self._call(lambda: setattr(self._shell(), "keyring", keyring))

    def set_seeds(self, seeds: Sequence[Address]) -> None:
        """Other places where members may be, such as those of the database."""
        self._call(lambda: self._shell().set_seeds(tuple(seeds)))

    def _shell(self) -> SwimShell:
        if self._running is None:
            raise RuntimeError("the membership does not run")
        return self._running.shell

    def _call(self, work: Callable[[], None]) -> None:
        """Have something done in the thread; nothing once it has ended."""
        running = self._running
        if running is not None:
            with contextlib.suppress(RuntimeError):  # its loop was closed just now
                running.loop.call_soon_threadsafe(work)

    def _run(self, seeds: tuple[Address, ...]) -> None:
        asyncio.run(self._member(seeds))

    async def _member(self, seeds: tuple[Address, ...]) -> None:
        swim = Swim(self._identity, self._timing, random.Random(secrets.randbits(64)))
        loads = LoadExchange(self._identity.farm, self._loads, self._timing)
        shell = SwimShell(swim, self._timing, self._keyring, self._clock, self._tell, loads)
        running = _Running(asyncio.get_running_loop(), shell)
        self._running = running
        try:
            async with Supervisor("membership") as scope:
                _ = scope.essential("shell", shell.run(seeds, self._began.set))
                await running.stop.wait()
                if running.goodbye:
                    await self._say_goodbye(shell)
        except BaseExceptionGroup as group:
            raise first_farm_error(group) or group from None
        finally:
            self._running = None

    async def _say_goodbye(self, shell: SwimShell) -> None:
        shell.leave()
        deadline_s = self._clock.monotonic_s() + GOODBYE_LIMIT_S
        while not shell.goodbye_said() and self._clock.monotonic_s() < deadline_s:  # noqa: ASYNC110 - the machine tells no event for it
            await asyncio.sleep(GOODBYE_PAUSE_S)

    def _tell(self, event: Event) -> None:
        if isinstance(event, MemberChanged):
            member = event.member
            self._known = {**self._known, member.name: member}
            self._loads.keep(self._nodes_up())
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

    def _nodes_up(self) -> set[int]:
        up = (
            m for m in self._known.values() if m.state in (MemberState.ALIVE, MemberState.SUSPECT)
        )
        metadata = (MemberMetadata.decode(member.metadata) for member in up)
        return {known.node_id for known in metadata if known is not None}
