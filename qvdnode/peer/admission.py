"""Admits new nodes: checks the invitation, signs the certificate, hands over what all nodes know.

Requests come from whoever has a token; it is redeemed in one transaction, so that it is good once.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qvdnode.cluster.settings import ClusterSettings
from qvdnode.db.farm import Newcomer
from qvdnode.model.errors import FarmError, Forbidden, Invalid, Unavailable
from qvdnode.model.ids import FarmId
from qvdnode.peer import hello
from qvdnode.peer.enrolment import Enrolment
from qvdnode.peer.farm_files import FarmMember, NodeAddress
from qvdnode.peer.invitations import Invitation, Token, join_url
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.tokens import new_token
from qvdnode.telemetry.metrics import Counter
from qvdnode.tls.farm_authority import (
    BadCertificate,
    FarmAuthority,
    authority_pin,
    key_digest,
)
from qvdnode.tls.stream_pipe import StreamPipe
from qvdnode.wire.peer_hello import Hello, JoinAnswer, JoinRequest

log = logging.getLogger(__name__)

JOINS = Counter("qvdnode_joins", "Hosts that asked to join the farm, by outcome", ["outcome"])

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ADDRESS: Final = re.compile(r"[A-Za-z0-9:._-]{1,253}")


@dataclass(frozen=True, slots=True)
class FarmDatabase:
    """How a new node reaches the farm's database."""

    dsn: str
    """Empty when a node runs the database."""
    node: NodeAddress | None
    """The node, if it is not this one."""
    schema: int
    """The schema that this node's program knows."""


class Admission:
    """Invites and admits. Satisfies peer.listener.JoinService."""

    def __init__(
        self,
        enrolment: Enrolment,
        database: Callable[[], FarmDatabase],
        cluster: ClusterSettings,
        clock: Clock,
        address: Callable[[], tuple[str, int]],
    ) -> None:
        """`database` is where it is now, and `address` where this node is dialled."""
        self._own = enrolment.own
        self._enrolment = enrolment
        self._farm = enrolment.farm
        self._database = database
        self._cluster = cluster
        self._clock = clock
        self._address = address
        self._one_at_a_time = asyncio.Lock()

    async def invite(self, *, name: str | None, life_s: float) -> Invitation:
        """Make a token that one host can join with; raises Unavailable, Invalid."""
        if name is not None and NAME.fullmatch(name) is None:
            raise Invalid(
                "a node's name has letters, digits and . _ -, and at most 64 of them", field="name"
            )
        member = self._own.member
        secret = new_token()
        expires_at = await self._farm.invite(secret, name=name, life_s=life_s)
        token = Token(secret, authority_pin(member.authority.encode("ascii")))
        return Invitation(join_url(*self._address()), str(token), expires_at)

    def authority(self) -> str:
        """As JoinService."""
        return self._own.member.authority

    async def serve(self, pipe: StreamPipe, source: str, greeting: Hello) -> str | None:
        """As JoinService."""
        request = await hello.receive(pipe, JoinRequest)
        try:
            # Anybody may ask: one connection of the database's pool is all that they get.
            async with self._one_at_a_time:
                answer = await self._answer(request, greeting)
        except FarmError as error:
            JOINS.labels("refused").inc()
            hello.send(pipe, JoinAnswer(refusal=str(error)))
            return str(error)
        JOINS.labels("admitted").inc()
        log.info(
            "node_admitted",
            extra={"source": source, "node_name": request.name, "node": answer.node},
        )
        hello.send(pipe, answer)
        return None

    async def _answer(self, request: JoinRequest, greeting: Hello) -> JoinAnswer:
        self._check(request, greeting)
        member, hidden = self._own.member, await self._enrolment.secrets()
        authority = FarmAuthority(member.authority.encode("ascii"), hidden.authority_key)
        key = key_digest(request.public_key)
        newcomer = Newcomer(request.name, request.address, request.port, key)
        node_id = await self._farm.redeem(request.token, newcomer)
        certificate = authority.sign(
            request.public_key, FarmId(member.farm_id), node_id, self._clock.now()
        )
        told = self._database()
        database = told.node or self._own_address(member)
        return JoinAnswer(
            refusal="",
            farm=member.farm_id,
            node=node_id,
            certificate=certificate.decode("ascii"),
            farm_key=member.farm_key,
            dsn=told.dsn,
            database_node=database.node_id,
            database_address=database.host,
            database_port=database.port,
            database_key=database.key,
            lease_ttl_ms=round(self._cluster.lease_ttl_s * 1000),
            lease_renew_ms=round(self._cluster.lease_renew_s * 1000),
            lease_margin_ms=round(self._cluster.lease_margin_s * 1000),
        )

    def _check(self, request: JoinRequest, greeting: Hello) -> None:
        """Raise Forbidden or Invalid, before the token is used."""
        difference = hello.clock_difference(greeting.time_ms, self._clock)
        if difference is not None:
            raise Forbidden(f"The new host was not admitted: {difference}.")
        if request.schema < self._database().schema:
            raise Forbidden(
                f"The new host's program {greeting.program[:40]} is older than this farm's"
                f" {hello.PROGRAM}: upgrade it first."
            )
        if NAME.fullmatch(request.name) is None or ADDRESS.fullmatch(request.address) is None:
            raise Invalid("The new host's name or address is none.")
        if not 0 <= request.port <= 65_535:
            raise Invalid("The new host's port is none.")
        try:
            FarmAuthority.check_key(request.public_key)
        except BadCertificate as error:
            raise Invalid("The new host's key is not a P-256 key.") from error

    def _own_address(self, member: FarmMember) -> NodeAddress:
        identity = self._own.files.identity()
        if member.node_id is None or identity is None:
            raise Unavailable("this node has not joined its farm yet")
        return NodeAddress(member.node_id, *self._address(), identity.key_digest)
