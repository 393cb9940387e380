"""Gathers facts about the farm that this host is a node of, and changes nothing."""

import asyncio
from typing import Final

from qvdnode.cli.doctor.farm import Datagrams, FarmFacts, NodeFacts
from qvdnode.cluster.reach import reach_keyring, reaches
from qvdnode.daemon.config import Config
from qvdnode.daemon.peers import farm_files, open_directory
from qvdnode.peer.database_place import has_left
from qvdnode.peer.directory import Peer
from qvdnode.peer.examination import examine_peer
from qvdnode.peer.hello import PROGRAM
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.runtime.clock import Clock

SMALL_BYTES: Final = 200
FULL_BYTES: Final = 1400
"""The largest that the membership sends."""
AT_ONCE: Final = 16
"""Nodes that are asked side by side."""


async def gather(config: Config, clock: Clock) -> FarmFacts:
    """What there is to judge; raises HostFailed when the farm's files cannot be read."""
    own = OwnIdentity(farm_files(config))
    member = own.files.member()
    identity = own.files.identity()
    ends = None if identity is None or member is None else identity.expires_at
    superseded = bool(config.database.dsn) and has_left(member, config.database.dsn)
    nodes = list[NodeFacts]()
    if own.load():
        others = [
            peer
            for peer in open_directory(config, own, clock).all()
            if peer.address.node_id != own.node_id
        ]
        room = asyncio.Semaphore(AT_ONCE)
        nodes = await asyncio.gather(*(_node(own, peer, clock, room) for peer in others))
    return FarmFacts(PROGRAM, ends, superseded, nodes)


async def _node(own: OwnIdentity, peer: Peer, clock: Clock, room: asyncio.Semaphore) -> NodeFacts:
    async with room:
        address = peer.address
        return NodeFacts(
            name=peer.name or str(address.node_id),
            host=address.host,
            port=address.port,
            gossip_port=peer.gossip_port,
            state=await examine_peer(own, address, clock),
            datagrams=await _datagrams(own, peer, clock) if peer.gossip_port else None,
        )


async def _datagrams(own: OwnIdentity, peer: Peer, clock: Clock) -> Datagrams:
    ring = reach_keyring(own.member.farm_id, own.member.farm_key)
    where = (peer.address.host, peer.gossip_port)
    try:
        small_s = await reaches(*where, SMALL_BYTES, ring, clock)
        full_s = await reaches(*where, FULL_BYTES, ring, clock) if small_s is not None else None
    except OSError as error:
        return Datagrams(None, None, error.strerror or str(error))
    return Datagrams(small_s, full_s)
