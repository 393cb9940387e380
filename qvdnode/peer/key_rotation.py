"""Changes the key of the membership protocol while the farm runs, in three steps.

All nodes first accept the new key, then encrypt with it, then forget the old one. The step that the
farm is at is in its secrets, and each node says in its row what it has done, so any node can go on
with a change that another one began. A node that is away reads the keys when it comes back.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from qvdnode.db.nodes import NodeMembership, Nodes
from qvdnode.model.errors import Conflict, FarmError, Unavailable
from qvdnode.peer.enrolment import Enrolment, FarmSecrets, Rotation
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
TRIES: Final = 5
BUSY: Final = "Another node changes the farm's secrets just now; try again."


@dataclass(frozen=True, slots=True)
class RotationState:
    """How far the change is."""

    step: Rotation
    waits_for: tuple[str, ...]
    """Names of nodes that serve and have not done the step yet."""


def begun(before: FarmSecrets, key: bytes) -> FarmSecrets:
    """The secrets with one key more; raises Conflict while a change is under way."""
    if before.rotation is not Rotation.NONE:
        raise Conflict("The key is being changed already; `qvd node key show` tells how far it is.")
    return replace(before, gossip_keys=(*before.gossip_keys, key), rotation=Rotation.ADDED)


def advanced(before: FarmSecrets) -> FarmSecrets:
    """The next step, when all nodes have done this one."""
    *olds, new = before.gossip_keys
    match before.rotation:
        case Rotation.ADDED:
            return replace(before, gossip_keys=(new, *olds), rotation=Rotation.USED)
        case Rotation.USED:
            return replace(before, gossip_keys=before.gossip_keys[:1], rotation=Rotation.NONE)
        case Rotation.NONE:
            return before


def keyring_name(keys: Sequence[bytes]) -> str:
    """What a row says of the keys that a node uses, in their order; it tells nothing of them."""
    digests = b"".join(hashlib.sha256(b"qvdnode gossip key " + key).digest() for key in keys)
    return hashlib.sha256(digests).hexdigest()[:16]


class KeyRotation:
    """What each node does for it."""

    def __init__(
        self,
        enrolment: Enrolment,
        nodes: Nodes,
        seat: Callable[[], NodeMembership | None],
        clock: Clock,
    ) -> None:
        """`seat` is this node's row, once it has joined."""
        self._enrolment = enrolment
        self._nodes = nodes
        self._seat = seat
        self._clock = clock
        self._told: tuple[NodeMembership, str] | None = None

    async def begin(self, key: bytes) -> None:
        """Begin a change; raises Conflict while there is one, Unavailable, Forbidden."""
        await self._change(lambda before: begun(before, key))
        log.info("gossip_key_rotation_begun")

    async def state(self) -> RotationState:
        """How far the change is; raises Unavailable, Forbidden."""
        return await self._state(await self._enrolment.secrets())

    async def run(self, take: Callable[[Sequence[bytes]], None]) -> None:
        """Give `take` the keys whenever they are others, and go on with a change; until cancelled.

        `take` must have them used when it returns.
        """
        used: tuple[bytes, ...] = ()
        while True:
            try:
                hidden = await self._enrolment.secrets()
                if hidden.gossip_keys != used:
                    take(hidden.gossip_keys)
                    used = hidden.gossip_keys
                await self._tell(keyring_name(used))
                await self._go_on(hidden)
            except FarmError as error:
                log.debug("gossip_keys_not_read", extra={"because": str(error)})
            await self._clock.sleep(LOOK_EVERY_S)

    async def _tell(self, keyring: str) -> None:
        """Write which keys this node uses, once."""
        seat = self._seat()
        if seat is not None and self._told != (seat, keyring):
            await self._nodes.set_keyring(seat, keyring)
            self._told = (seat, keyring)

    async def _go_on(self, hidden: FarmSecrets) -> None:
        """Take the next step if all have done this one; of several nodes one does it."""
        if hidden.rotation is Rotation.NONE or (await self._state(hidden)).waits_for:
            return

        def next_step(before: FarmSecrets) -> FarmSecrets:
            return advanced(before) if before == hidden else before

        if await self._enrolment.replace_secrets(next_step):
            log.info("gossip_key_rotation_step", extra={"done": hidden.rotation.value})

    async def _state(self, hidden: FarmSecrets) -> RotationState:
        keyring = keyring_name(hidden.gossip_keys)
        names = [n.name for n in await self._nodes.peers() if n.alive and n.keyring != keyring]
        return RotationState(
            hidden.rotation, tuple(names) if hidden.rotation is not Rotation.NONE else ()
        )

    async def _change(self, change: Callable[[FarmSecrets], FarmSecrets]) -> None:
        for _ in range(TRIES):
            if await self._enrolment.replace_secrets(change):
                return
        raise Unavailable(BUSY)
