"""Joins a farm as a new node, by an invitation. The private key stays on this host.

The first connection asks for the farm's authority, which must have the pin of the token; nothing
secret is said on it. The second one trusts that authority alone, and the token goes over that.
"""

import logging
from dataclasses import dataclass
from typing import Final

from qvdnode.model.errors import FarmError, Forbidden, Unavailable
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.peer import hello
from qvdnode.peer.dialer import DIAL_LIMIT_S, FAILURES, open_pipe, problem_text
from qvdnode.peer.farm_files import FarmFiles, FarmMember, NodeAddress
from qvdnode.peer.invitations import Token
from qvdnode.peer.ports import Purpose
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.tls.farm_authority import (
    BadCertificate,
    authority_pin,
    client_context,
    public_key,
    read_node,
)
from qvdnode.tls.stream_pipe import StreamPipe
from qvdnode.wire.peer_hello import HelloAnswer, JoinAnswer, JoinRequest

log = logging.getLogger(__name__)

ANSWER_LIMIT_S: Final = 15.0
WRONG_FARM: Final = (
    "The node at {host} port {port} is of another farm than the token: compare both with what"
    " `qvd node invite` printed. Nothing was sent to it."
)


@dataclass(frozen=True, slots=True)
class NewNode:
    """The host that joins."""

    name: str
    address: str
    """Where other nodes will dial it; empty for the address that it dials from."""
    port: int
    schema: int
    """The newest schema of the database that its program knows."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it."""

    member: FarmMember
    answer: JoinAnswer
    address: str
    """Where other nodes dial this one."""


async def join_farm(
    place: tuple[str, int], token: Token, new: NewNode, files: FarmFiles, clock: Clock
) -> Joined:
    """Ask the node at `place` (host and port) and write down what it gives. Can be repeated.

    Raises Forbidden, Conflict or Unavailable with what to do; nothing is written then but a key.
    """
    try:
        async with TimeLimit(DIAL_LIMIT_S + ANSWER_LIMIT_S):
            authority = await _authority(place, token, clock)
            answer, address = await _ask(place, token, new, files, authority, clock)
    except FAILURES as error:
        raise Unavailable(
            f"The node at {place[0]} port {place[1]} cannot be joined: {problem_text(error)}."
        ) from error
    if answer.refusal:
        raise Forbidden(answer.refusal)
    member = _member(answer, authority)
    identity = read_node(answer.certificate.encode())
    if (identity.farm_id, identity.node_id) != (member.farm_id, member.node_id):
        raise Forbidden("The farm gave this host a certificate that is not its own.")
    files.keep_certificate(answer.certificate.encode())
    files.keep(member)
    return Joined(member, answer, address)


async def _authority(place: tuple[str, int], token: Token, clock: Clock) -> bytes:
    """The farm's authority, which has the token's pin."""
    pipe = await open_pipe(client_context(None), *place, TickBatch())
    try:
        told = await _greet(pipe, clock)
    finally:
        pipe.abort()
    authority = told.authority.encode()
    try:
        pin = authority_pin(authority)
    except BadCertificate:
        pin = ""
    if pin != token.pin:
        raise Forbidden(WRONG_FARM.format(host=place[0], port=place[1]))
    difference = hello.clock_difference(told.time_ms, clock)
    if difference is not None:
        raise Forbidden(f"This host was not joined. Of the node that was asked: {difference}.")
    return authority


async def _ask(
    place: tuple[str, int],
    token: Token,
    new: NewNode,
    files: FarmFiles,
    authority: bytes,
    clock: Clock,
) -> tuple[JoinAnswer, str]:
    """The answer, and the address that this host is dialled at."""
    pipe = await open_pipe(client_context(authority), *place, TickBatch())
    try:
        await _greet(pipe, clock)
        address = new.address or _own_end(pipe)
        spki = public_key(files.key_pem())
        request = JoinRequest(token.secret, new.name, address, new.port, spki, new.schema)
        hello.send(pipe, request)
        answer = await hello.receive(pipe, JoinAnswer)
    finally:
        pipe.abort()
    return answer, address


async def _greet(pipe: StreamPipe, clock: Clock) -> HelloAnswer:
    await pipe.ready()
    try:
        return await hello.introduce(pipe, "", Purpose.JOIN, clock)
    except FarmError as error:
        raise Forbidden(f"The farm does not admit this host: {error}.") from error


def _own_end(pipe: StreamPipe) -> str:
    transport = pipe.stream.transport
    if transport is None:
        raise ConnectionError("the connection was closed")
    return str(transport.get_extra_info("sockname")[0])


def _member(answer: JoinAnswer, authority: bytes) -> FarmMember:
    through = None
    if not answer.dsn:
        through = NodeAddress(
            NodeId(answer.database_node),
            answer.database_address,
            answer.database_port,
            answer.database_key,
        )
    return FarmMember(
        farm_id=FarmId(answer.farm),
        authority=authority.decode(),
        farm_key=answer.farm_key,
        node_id=NodeId(answer.node),
        dsn=answer.dsn,
        database_node=through,
    )
