"""One member for the benchmark of the membership: `python -m bench.gossip_node`.

    python -m bench.gossip_node NAME HOST PORT SEED_HOST

Prints a line for each change of a member. A line "block SECONDS" on its input makes the main loop
compute for so long; the end of the input ends it.
"""

import asyncio
import sys
import time
from typing import Final

from qvdnode.cluster.core.swim.effects import Event, MemberChanged
from qvdnode.cluster.core.swim.machine import Identity
from qvdnode.cluster.gossip_port import GossipPort
from qvdnode.cluster.keyring import Keyring
from qvdnode.cluster.membership import Membership, new_instance
from qvdnode.runtime.clock import SystemClock
from qvdnode.wire.swim import Address

FARM: Final = "bench"
KEY: Final = bytes(32)


def tell(event: Event) -> None:
    """Print what happened to a member; other notices go to the error output."""
    if isinstance(event, MemberChanged):
        print(event.event, event.member.name, flush=True)
    else:
        print(event, file=sys.stderr)


def block(seconds: float) -> None:
    """Compute in this thread and do nothing else."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


async def run(name: str, host: str, port: int, seed_host: str) -> None:
    """Be a member until the input ends."""
    identity = Identity(FARM, name, Address(host, port), 1, new_instance())
    sockets = GossipPort.open(host, port)
    membership = Membership(identity, sockets, Keyring(FARM, [KEY]), SystemClock(), tell)
    await membership.start([Address(seed_host, port)])
    while line := await asyncio.to_thread(sys.stdin.readline):
        block(float(line.split()[1]))
    await membership.stop()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
