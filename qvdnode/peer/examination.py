"""Looks at another node of the farm for `qvdnode doctor`, and changes nothing there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from qvdnode.model.errors import Unavailable
from qvdnode.peer import hello
from qvdnode.peer.dialer import DIAL_LIMIT_S, FAILURES, check_node, open_pipe, problem_text
from qvdnode.peer.farm_files import NodeAddress
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.peer.ports import Purpose
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.tls.farm_authority import read_node
from qvdnode.tls.stream_pipe import StreamPipe

DOES_NOT_SERVE: Final = "does not serve"


@dataclass(frozen=True, slots=True)
class PeerState:
    """What was found at the port for other nodes."""

    problem: str | None
    """Why it cannot be reached; None when it was."""
    program: str = ""
    """The version of its program; empty for one that is older than this question."""
    ahead_s: float | None = None
    """How far its clock is ahead of this host's, to within half the time that asking took."""
    certificate_ends: datetime | None = None


async def examine_peer(own: OwnIdentity, address: NodeAddress, clock: Clock) -> PeerState:
    """Dial a node as another node does."""
    try:
        async with TimeLimit(DIAL_LIMIT_S):
            pipe = await open_pipe(own.client_context(), address.host, address.port, TickBatch())
            try:
                return await _examined(pipe, own, address, clock)
            finally:
                pipe.abort()
    except Unavailable as error:
        return PeerState(str(error))
    except FAILURES as error:
        return PeerState(problem_text(error))


async def _examined(
    pipe: StreamPipe, own: OwnIdentity, address: NodeAddress, clock: Clock
) -> PeerState:
    await pipe.ready()
    check_node(pipe, own, address)
    certificate = pipe.stream.peer_certificate()
    ends = None if certificate is None else read_node(certificate).expires_at
    asked_at = clock.now().timestamp()
    try:
        told = await hello.introduce(pipe, own.member.farm_id, Purpose.DATABASE_PLACE, clock)
    except Unavailable as error:
        if DOES_NOT_SERVE not in str(error):
            raise
        return PeerState(None, certificate_ends=ends)
    middle = (asked_at + clock.now().timestamp()) / 2
    return PeerState(None, told.program, told.time_ms / 1000 - middle, ends)
