"""Real memberships on loopback addresses of their own."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, field

import pytest

from qvdnode.cluster.core.swim.effects import Event, MemberChanged, MemberEvent
from qvdnode.cluster.core.swim.machine import Identity
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.cluster.gossip_port import GossipPort
from qvdnode.cluster.keyring import Keyring
from qvdnode.cluster.membership import Membership, new_instance
from qvdnode.runtime.clock import SystemClock
from qvdnode.wire.swim import Address, MemberState

FARM = "farm-under-test"
KEY = b"0" * 32


@dataclass
class Node:
    """One membership and what it told."""

    membership: Membership
    address: Address
    events: list[Event] = field(default_factory=list)

    def up(self) -> set[str]:
        """The names of the others that are up."""
        states = (MemberState.ALIVE, MemberState.SUSPECT)
        known = self.membership.known
        return {name for name, record in known.items() if record.state in states}

    def changes(self, name: str) -> list[MemberEvent]:
        """What was told of a member, in order."""
        return [
            event.event
            for event in self.events
            if isinstance(event, MemberChanged) and event.member.name == name
        ]

    def deaths(self) -> list[str]:
        """Who was said to have died."""
        return [
            event.member.name
            for event in self.events
            if isinstance(event, MemberChanged) and event.event is MemberEvent.DIED
        ]


MakeNode = Callable[..., Awaitable[Node]]


@pytest.fixture
def where() -> AbstractContextManager[object]:
    """The network in which memberships run: the host's loopback, unless a module says otherwise."""
    return nullcontext()


@pytest.fixture
async def make_node(where: AbstractContextManager[object]) -> AsyncIterator[MakeNode]:
    """Starts a membership; all are ended after the test."""
    network = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}"
    port = 20000 + secrets.randbelow(10000)
    made = 0

    async with AsyncExitStack() as stack:

        async def make(  # noqa: PLR0913 - all that differs between tests
            name: str,
            seeds: Sequence[Node] = (),
            *,
            farm: str = FARM,
            keys: Sequence[bytes] = (KEY,),
            epoch: int = 1,
            address: Address | None = None,
            timing: Timing | None = None,
            metadata: bytes | None = None,
        ) -> Node:
            nonlocal made
            made += 1
            address = address or Address(f"{network}.{made}", port)
            told = name.encode() if metadata is None else metadata
            identity = Identity(farm, name, address, epoch, new_instance(), told)
            events: list[Event] = []
            with where:
                membership = Membership(
                    identity,
                    GossipPort.open(*address),
                    Keyring(farm, keys),
                    SystemClock(),
                    events.append,
                )
                await membership.start([seed.address for seed in seeds])
            node = Node(membership, address, events)
            stack.push_async_callback(membership.stop, announce_leave=False)
            return node

        yield make
