"""Takes this node into its farm's membership, and the load of the farm's nodes to its placement.

It begins once the node has joined: the keys are in the database, sealed for the farm's nodes.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from qvdnode.cluster.core.load_figures import to_load, to_record
from qvdnode.cluster.core.placement import Load
from qvdnode.cluster.core.swim.effects import EpochRaised, Event
from qvdnode.cluster.core.swim.machine import Identity
from qvdnode.cluster.gossip_port import GossipPort
from qvdnode.cluster.keyring import Keyring
from qvdnode.cluster.membership import Membership, new_instance
from qvdnode.cluster.ports import LoadSource
from qvdnode.cluster.reach import reach_keyring
from qvdnode.cluster.start_epoch import keep_epoch, next_epoch
from qvdnode.model.errors import FarmError, HostFailed
from qvdnode.model.farm import Drain
from qvdnode.model.ids import NodeId
from qvdnode.peer.directory import Directory
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.wire.member_metadata import MemberMetadata
from qvdnode.wire.swim import Address

log = logging.getLogger(__name__)

TakeKeys = Callable[[Sequence[bytes]], None]

EPOCH_FILE: Final = "epoch"
READY_POLL_S: Final = 0.1
RETRY_S: Final = 2.0
PUBLISH_EVERY_S: Final = 1.0
HEARING_S: Final = 5.0
"""After it has joined, a node has heard of all others that are up: they tell their load once a
second."""
HEARING_PAUSE_S: Final = 0.1


class Gossip:
    """The membership while it runs; before, and in a farm of one node, this node's own load."""

    def __init__(  # noqa: PLR0913 - each is a part of the node that the membership needs
        self,
        port: GossipPort,
        host: str,
        folder: Path,
        own: OwnIdentity,
        keys: Callable[[Collection[NodeId]], Awaitable[tuple[bytes, ...]]],
        directory: Directory,
        own_load: LoadSource,
        clock: Clock,
        watch_keys: Callable[[TakeKeys], Coroutine[Any, Any, None]],
    ) -> None:
        """`host` is where other nodes reach the port; `folder` keeps the epoch of the start.

        `keys` gives those that none of the given nodes, which were removed, has. `watch_keys` gives
        the keys whenever they change, until it is cancelled.
        """
        self._port = port
        self._host = host
        self._epoch_file = folder / EPOCH_FILE
        self._own = own
        self._keys_without = keys
        self._removed: frozenset[NodeId] = frozenset()
        """The removed nodes that do not have the keys in use."""
        self._directory = directory
        self._own_load = own_load
        self._clock = clock
        self._watch_keys = watch_keys
        self._membership: Membership | None = None
        self._joined_s: float | None = None

    def loads(self) -> list[Load]:
        """The newest load of each node that is up and of the farm; this node's is current."""
        own = self._own_load.loads()
        membership = self._membership
        if membership is None:
            return own
        here = {load.node_id for load in own}
        of_farm = {peer.address.node_id for peer in self._directory.all()}
        now_s, suspects = self._clock.monotonic_s(), membership.suspects()
        others = (
            self._with_row(
                to_load(known.record, age_s=known.age_s(now_s), suspect=node in suspects)
            )
            for node, known in membership.loads.items()
        )
        return own + [load for load in others if load.node_id in of_farm - here]

    def _with_row(self, load: Load) -> Load:
        # its row may be newer than what it has told
        drains = self._directory.drain(load.node_id) is not Drain.NO
        return replace(load, draining=True) if drains else load

    async def hears_more(self) -> bool:
        """Wait a moment for the load of nodes that serve; False when there is none to wait for.

        That is, when all of them have told it, or have had the time to since this node joined.
        """
        joined_s = self._joined_s
        if joined_s is None or self._clock.monotonic_s() - joined_s >= HEARING_S:
            return False
        told = {load.node_id for load in self.loads()}
        if all(peer.address.node_id in told for peer in self._directory.all() if peer.serves):
            return False
        await self._clock.sleep(HEARING_PAUSE_S)
        return True

    async def run(self) -> None:
        """Be a member until cancelled; then tell the others that this node leaves."""
        membership = await self._make()
        try:
            await membership.start(await self._seeds())
            self._membership = membership
            async with Supervisor("gossip") as tasks:
                _ = tasks.essential("membership", membership.wait())
                _ = tasks.essential("own-load", self._publish(membership))
                _ = tasks.essential("keys", self._watch_keys(self._taking(membership)))
                await self._follow(membership)
        finally:
            self._membership = None
            await membership.stop()

    async def _make(self) -> Membership:
        while not self._own.ready:
            await self._clock.sleep(READY_POLL_S)
        self._joined_s = self._clock.monotonic_s()
        keyring = await self._keyring()
        loop = asyncio.get_running_loop()

        def told(event: Event) -> None:
            if isinstance(event, EpochRaised):
                loop.call_soon_threadsafe(self._keep, event.epoch)

        member = self._own.member
        metadata = MemberMetadata(self._own.node_id, version("qvdnode")).encode()
        identity = Identity(
            farm=member.farm_id,
            name=f"node-{self._own.node_id}",
            address=await self._address(),
            epoch=self._next_epoch(),
            instance=new_instance(),
            metadata=metadata,
        )
        reach = reach_keyring(member.farm_id, member.farm_key)
        return Membership(identity, self._port, keyring, self._clock, told, reach=reach)

    async def _keyring(self) -> Keyring:
        while True:
            removed = self._directory.removed_nodes()
            try:
                keys = await self._keys_without(removed)
            except FarmError as error:
                log.warning("gossip_waits", extra={"because": str(error)})
                await self._clock.sleep(RETRY_S)
            else:
                self._removed = removed
                return Keyring(self._own.member.farm_id, keys)

    def _taking(self, membership: Membership) -> TakeKeys:
        farm_id = self._own.member.farm_id
        return lambda keys: membership.set_keyring(Keyring(farm_id, keys))

    async def _address(self) -> Address:
        """Where other nodes reach this one; a name is looked up until it leads somewhere."""
        while True:
            found = await _resolved(self._host)
            if found is not None:
                return Address(found, self._port.number)
            log.warning("gossip_waits", extra={"because": f"no address is known of {self._host}"})
            await self._clock.sleep(RETRY_S)

    def _next_epoch(self) -> int:
        try:
            return next_epoch(self._epoch_file)
        except OSError as error:
            raise HostFailed(f"{self._epoch_file} cannot be written: {error.strerror}") from error

    def _keep(self, epoch: int) -> None:
        try:
            keep_epoch(self._epoch_file, epoch)
        except OSError as error:
            log.warning("gossip_epoch_not_kept", extra={"because": str(error)})

    async def _publish(self, membership: Membership) -> None:
        while True:
            for load in self._own_load.loads():
                membership.publish(to_record(load))
            await self._clock.sleep(PUBLISH_EVERY_S)

    async def _follow(self, membership: Membership) -> None:
        """Look for members where the rows of the nodes say, with keys that only those have."""
        changed = asyncio.Event()
        self._directory.on_change(changed.set)
        while True:
            membership.set_seeds(await self._seeds())
            if not self._removed.issuperset(self._directory.removed_nodes()):
                # What a node that was removed says counts no more.
                membership.set_keyring(await self._keyring())
            await changed.wait()
            changed.clear()

    async def _seeds(self) -> list[Address]:
        others = [
            peer
            for peer in self._directory.all()
            if peer.gossip_port and peer.address.node_id != self._own.node_id
        ]
        hosts = await asyncio.gather(*(_resolved(peer.address.host) for peer in others))
        return _known(zip(hosts, (peer.gossip_port for peer in others), strict=True))


def _known(found: Iterable[tuple[str | None, int]]) -> list[Address]:
    return [Address(host, port) for host, port in found if host is not None]


async def _resolved(host: str) -> str | None:
    """The first address of the host, or None."""
    with contextlib.suppress(ValueError):
        return str(ip_address(host))
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    return str(ip_address(found[0][4][0])) if found else None
