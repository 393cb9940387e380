"""Dials other nodes, proves who both ends are, and remembers which node could not be reached."""

import asyncio
import logging
import ssl
from dataclasses import dataclass, replace
from typing import Final

from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer import hello
from qvdnode.peer.directory import Directory
from qvdnode.peer.farm_files import NodeAddress
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.peer.ports import PeerConnection, Purpose, away_text
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.os_errors import connect_error_text
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.tls.client_stream import ClientStream
from qvdnode.tls.farm_authority import BadCertificate, read_node
from qvdnode.tls.stream_pipe import StreamPipe
from qvdnode.wire.peer_hello import HelloError

log = logging.getLogger(__name__)

DIAL_LIMIT_S: Final = 5.0
"""For TCP, TLS and the hello together."""
PAUSE_FIRST_S: Final = 0.1
PAUSE_MOST_S: Final = 2.0
"""After a failure others are told its reason at once, for a time that doubles with each failure."""
FAILURES: Final = (OSError, EOFError, HelloError, BadCertificate)
"""TimeoutError, ConnectionError and SSLError are OSErrors."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What came of the last attempt to reach a node."""

    at_s: float
    """By the monotonic clock."""
    problem: str | None
    """Why it cannot be reached; None when it was."""
    warning: str | None = None
    """What is wrong with it though it was reached."""
    failures: int = 0
    """One after another, up to now; 0 once the node has shown that it is up."""

    def pause_s(self) -> float:
        """How long after `at_s` not to try again."""
        if not self.failures:
            return 0.0
        return min(PAUSE_FIRST_S * 2.0 ** min(self.failures - 1, 10), PAUSE_MOST_S)


class Dialer:
    """Satisfies peer.ports.PeerDialer."""

    def __init__(self, own: OwnIdentity, directory: Directory, clock: Clock) -> None:
        self._own = own
        self._directory = directory
        self._clock = clock
        self._tick_batch = TickBatch()
        self._contacts: dict[NodeId, Contact] = {}
        self.removed = asyncio.Event()
        """Set once another node has refused this one because it was removed from the farm."""

    def contact(self, node_id: NodeId) -> Contact | None:
        """The last attempt to reach that node; None when there was none."""
        return self._contacts.get(node_id)

    def is_up(self, node_id: NodeId) -> None:
        """The node has connected to this one: it may be dialled at once, whatever failed before."""
        contact = self._contacts.get(node_id)
        if contact is not None and contact.problem is not None:
            self._contacts[node_id] = replace(contact, failures=0)

    async def dial(self, node_id: NodeId, purpose: Purpose) -> PeerConnection:
        """As PeerDialer."""
        address = self._directory.get(node_id).address
        before = self._contacts.get(node_id)
        if before is not None and before.problem is not None:
            age_s = self._clock.monotonic_s() - before.at_s
            if age_s < before.pause_s():
                raise _away(node_id, before.problem)
        try:
            async with TimeLimit(DIAL_LIMIT_S):
                connection, warning = await self._dial(address, purpose)
        except Unavailable as error:
            self._failed(node_id, str(error))
            raise _away(node_id, str(error)) from error
        except FAILURES as error:
            problem = problem_text(error)
            self._failed(node_id, problem)
            raise _away(node_id, problem) from error
        self._contacts[node_id] = Contact(self._clock.monotonic_s(), None, warning)
        if before is not None and before.problem is not None:
            log.info("peer_reached", extra={"node": node_id})
        return connection

    async def _dial(
        self, address: NodeAddress, purpose: Purpose
    ) -> tuple[PeerConnection, str | None]:
        own = self._own
        pipe = await open_pipe(own.client_context(), address.host, address.port, self._tick_batch)
        try:
            await pipe.ready()
            check_node(pipe, own, address)
            answer = await hello.introduce(
                pipe, own.member.farm_id, purpose, self._clock, removed=self.removed.set
            )
        except BaseException:
            pipe.abort()
            raise
        warning = hello.clock_difference(answer.time_ms, self._clock)
        return PeerConnection(address.node_id, answer.version, pipe), warning

    def _failed(self, node_id: NodeId, problem: str) -> None:
        before = self._contacts.get(node_id)
        failures = 1 if before is None else before.failures + 1
        if before is None or before.problem != problem:
            log.warning("peer_unreachable", extra={"node": node_id, "because": problem})
        self._contacts[node_id] = Contact(self._clock.monotonic_s(), problem, failures=failures)


async def open_pipe(
    context: ssl.SSLContext, host: str, port: int, tick_batch: TickBatch
) -> StreamPipe:
    """A TLS connection whose handshake has begun; raises OSError."""
    pipe = StreamPipe(lambda owner: ClientStream(context, tick_batch, owner))
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: pipe.stream, host, port)
    return pipe


def check_node(pipe: StreamPipe, own: OwnIdentity, address: NodeAddress) -> None:
    """Raise BadCertificate unless the other end is that node."""
    certificate = pipe.stream.peer_certificate()
    if certificate is None:
        raise BadCertificate("it shows no certificate")
    identity = read_node(certificate)
    if identity.farm_id != own.member.farm_id:
        raise BadCertificate("a node of another farm answers there")
    if identity.node_id != address.node_id:
        raise BadCertificate(f"node {identity.node_id} answers there: two nodes have one address")
    if identity.key_digest != address.key:
        raise BadCertificate("it has another key than it joined with")


def problem_text(error: Exception) -> str:
    """Why a node could not be reached, for a person."""
    if isinstance(error, TimeoutError):
        return f"it does not answer within {DIAL_LIMIT_S:g} s"
    if isinstance(error, ssl.SSLError) or (isinstance(error, OSError) and error.errno is None):
        return hello.tls_error_text(str(error))
    if isinstance(error, OSError):
        return connect_error_text(error)
    if isinstance(error, EOFError):
        return "it closed the connection before its hello"
    return str(error)


def _away(node_id: NodeId, problem: str) -> Unavailable:
    return Unavailable(away_text(node_id, problem))
