"""Makes the farm's authority on its first node, and this node's certificate on each.

The authority's private key is in the database, sealed with the farm's key, which only joined nodes
have: so any of them can admit a newcomer, sign for it and renew its own certificate (decision in
docs/decisions).
"""

import binascii
import json
import logging
import secrets
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Final

from qvdnode.cluster.keyring import NONCE_BYTES, Forged, Keyring
from qvdnode.db.farm import Farm, FarmRow
from qvdnode.db.nodes import NodeMembership, Nodes
from qvdnode.model.errors import Conflict, FarmError, Forbidden, Unavailable
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.peer.farm_files import FARM_KEY_BYTES, FarmMember
from qvdnode.peer.hello import PROGRAM
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.runtime.clock import Clock
from qvdnode.tls.farm_authority import (
    RENEW_BEFORE,
    FarmAuthority,
    PeerIdentity,
    key_digest,
    public_key,
)

log = logging.getLogger(__name__)

GOSSIP_KEY_BYTES: Final = 32
CHECK_EVERY_S: Final = 3600.0
NOT_JOINED: Final = (
    "The database belongs to a farm that this host has not joined, and {others} of it"
    " {serve}. Run `qvd node invite` there and the `qvdnode join` line that it prints here."
)


class Standing(Enum):
    """How this host stands to the farm in its database."""

    MEMBER = auto()
    FIRST = auto()
    """There is no farm yet: this host makes one."""
    LAST = auto()
    """The key to the farm's secrets is lost with its other nodes: the farm needs new ones."""


class Rotation(StrEnum):
    """How far a change of the membership's key is: every node must have done each step."""

    NONE = "none"
    ADDED = "added"
    """The new key decrypts everywhere; the old one encrypts."""
    USED = "used"
    """The new key encrypts; the old one decrypts what is on its way."""


@dataclass(frozen=True, slots=True)
class FarmSecrets:
    """What only joined nodes may know."""

    authority_key: bytes
    """The authority's private key, in PEM."""
    gossip_keys: tuple[bytes, ...]
    """Keys of the membership protocol; the first one encrypts."""
    rotation: Rotation = Rotation.NONE
    """How far a change of these keys is."""
    removed: frozenset[NodeId] = frozenset()
    """Nodes that had been removed when the gossip keys were made: they do not have them."""


def standing(member: FarmMember | None, row: FarmRow | None, others: tuple[str, ...]) -> Standing:
    """Where this host stands; `others` are the names of other nodes that serve.

    Raises Forbidden for a host that must join first, with what to do.
    """
    if row is None:
        return Standing.FIRST
    if member is not None and member.farm_id != row.farm_id:
        raise Forbidden(
            "This host is a node of another farm than the one in its database. To move it, remove"
            " the folder farm/ of its state folder and join the other farm."
        )
    if member is not None and member.authority == row.authority:
        return Standing.MEMBER
    if others:
        names = f"{', '.join(others[:3])}{' and others' if len(others) > 3 else ''}"
        raise Forbidden(
            NOT_JOINED.format(others=names, serve="serves" if len(others) == 1 else "serve")
        )
    return Standing.LAST


def seal(secrets_: FarmSecrets, farm_key: bytes, farm_id: FarmId, nonce: bytes) -> bytes:
    """The secrets as the database keeps them."""
    plain = {
        "authority_key": secrets_.authority_key.decode("ascii"),
        "gossip_keys": [key.hex() for key in secrets_.gossip_keys],
        "rotation": secrets_.rotation,
        "removed": sorted(secrets_.removed),
    }
    return Keyring(farm_id, [farm_key]).seal(json.dumps(plain).encode(), nonce)


def unseal(sealed: bytes, farm_key: bytes, farm_id: FarmId) -> FarmSecrets:
    """Open the secrets; raises Forbidden when the key is not theirs."""
    try:
        plain = json.loads(Keyring(farm_id, [farm_key]).open(sealed))
        gossip_keys = tuple(bytes.fromhex(key) for key in plain["gossip_keys"])
        rotation = Rotation(plain.get("rotation", Rotation.NONE))
        removed = frozenset(NodeId(number) for number in plain.get("removed", ()))
        authority_key = plain["authority_key"].encode("ascii")
        return FarmSecrets(authority_key, gossip_keys, rotation, removed)
    except (Forged, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise Forbidden(
            "This node's key does not open the farm's secrets: they were replaced. Join again."
        ) from error


class Enrolment:
    """This node's way into its farm, at its start; then its certificate's renewal."""

    def __init__(
        self, own: OwnIdentity, farm: Farm, nodes: Nodes, clock: Clock, *, name: str
    ) -> None:
        self.own = own
        self.farm = farm
        self._nodes = nodes
        self._clock = clock
        self._name = name

    def node_id(self) -> NodeId | None:
        """The number that this host was given when it joined; None before."""
        member = self.own.files.member()
        return None if member is None else member.node_id

    async def ensure_farm(self) -> FarmMember:
        """The farm that this host is of, made if there is none.

        Raises Forbidden for a host that must join first, Unavailable, HostFailed.
        """
        files = self.own.files
        member, row = files.member(), await self.farm.get()
        others = tuple(
            node.name
            for node in await self._nodes.peers()
            if node.alive and not self._is_own(node.id, node.name, member)
        )
        match standing(member, row, others):
            case Standing.MEMBER if member is not None:
                return member
            case Standing.FIRST:
                farm_id = FarmId(str(uuid.uuid4())) if member is None else member.farm_id
                made, row_made = self._new(farm_id)
                if await self.farm.create(row_made) != row_made:
                    raise Conflict("Another host has made this farm at the same time; join it.")
            case _:
                if row is None:
                    raise AssertionError("only the first node finds no farm")
                made, row_made = self._new(row.farm_id)
                await self.farm.replace(row, row_made)
                log.warning("farm_authority_replaced", extra={"fix": "other nodes must join again"})
        if member is not None and member.farm_id == made.farm_id:
            made = replace(made, node_id=member.node_id, dsn=member.dsn)
        files.keep(made)
        return made

    def _is_own(self, node_id: NodeId, name: str, member: FarmMember | None) -> bool:
        if member is not None and member.node_id is not None:
            return node_id == member.node_id
        return name == self._name

    def _new(self, farm_id: FarmId) -> tuple[FarmMember, FarmRow]:
        farm_key = secrets.token_bytes(FARM_KEY_BYTES)
        authority = FarmAuthority.new(farm_id, self._clock.now())
        hidden = FarmSecrets(authority.key_pem, (secrets.token_bytes(GOSSIP_KEY_BYTES),))
        sealed = seal(hidden, farm_key, farm_id, secrets.token_bytes(NONCE_BYTES))
        certificate = authority.certificate_pem.decode("ascii")
        return FarmMember(farm_id, certificate, farm_key), FarmRow(farm_id, certificate, sealed)

    async def secrets(self) -> FarmSecrets:
        """The farm's secrets; raises Unavailable, Forbidden."""
        member, row = self.own.files.member(), await self.farm.get()
        if member is None or row is None:
            raise Unavailable("this node has not joined its farm yet")
        return unseal(row.sealed, member.farm_key, member.farm_id)

    async def replace_secrets(self, change: Callable[[FarmSecrets], FarmSecrets]) -> bool:
        """Change the secrets; False when another node has changed them at the same moment.

        Raises Unavailable, Forbidden, and what `change` raises.
        """
        member, row = self.own.files.member(), await self.farm.get()
        if member is None or row is None:
            raise Unavailable("this node has not joined its farm yet")
        after = change(unseal(row.sealed, member.farm_key, member.farm_id))
        sealed = seal(after, member.farm_key, member.farm_id, secrets.token_bytes(NONCE_BYTES))
        return await self.farm.reseal(row, sealed)

    async def gossip_keys(self, removed: Collection[NodeId]) -> tuple[bytes, ...]:
        """The keys of the membership protocol, new ones if one of these removed nodes has them.

        Every node asks when it learns of a removal, and all get the same keys. Raises Unavailable,
        Forbidden.
        """
        while True:
            member, row = self.own.files.member(), await self.farm.get()
            if member is None or row is None:
                raise Unavailable("this node has not joined its farm yet")
            hidden = unseal(row.sealed, member.farm_key, member.farm_id)
            if hidden.removed.issuperset(removed):
                return hidden.gossip_keys
            fresh = replace(
                hidden,
                gossip_keys=(secrets.token_bytes(GOSSIP_KEY_BYTES),),
                rotation=Rotation.NONE,
                removed=hidden.removed.union(removed),
            )
            sealed = seal(fresh, member.farm_key, member.farm_id, secrets.token_bytes(NONCE_BYTES))
            if await self.farm.reseal(row, sealed):
                log.info("gossip_key_made", extra={"nodes_removed": len(fresh.removed)})

    async def enter(self, seat: NodeMembership) -> None:
        """Have a certificate for this number, and tell other nodes its key.

        Raises Unavailable, Forbidden, HostFailed.
        """
        member = await self.ensure_farm()
        if member.node_id is None:
            member = replace(member, node_id=seat.node_id)
            self.own.files.keep(member)
        elif member.node_id != seat.node_id:
            raise Conflict(
                f"This host joined its farm as node {member.node_id}, and the database has it as"
                f" node {seat.node_id}: remove the folder farm/ of its state folder and join again."
            )
        spki = public_key(self.own.files.key_pem())
        identity = self.own.files.identity()
        if identity is None or needs_renewal(identity, member, key_digest(spki), self._clock.now()):
            await self._sign(member, seat.node_id, spki)
        _ = self.own.load()
        await self._nodes.set_identity(seat, key_digest(spki), PROGRAM)

    async def run(self) -> None:
        """Renew the certificate in time, until cancelled."""
        while True:
            await self._clock.sleep(CHECK_EVERY_S)
            try:
                await self.renew()
            except FarmError as error:
                log.warning("peer_certificate_not_renewed", extra={"because": str(error)})

    async def renew(self) -> None:
        """Renew the certificate if it runs out soon; raises Unavailable, Forbidden, HostFailed."""
        identity = self.own.files.identity()
        if not self.own.ready or identity is None:
            return
        spki = public_key(self.own.files.key_pem())
        if needs_renewal(identity, self.own.member, key_digest(spki), self._clock.now()):
            await self._sign(self.own.member, self.own.node_id, spki)
            _ = self.own.load()

    async def _sign(self, member: FarmMember, node_id: NodeId, spki: bytes) -> None:
        hidden = await self.secrets()
        authority = FarmAuthority(member.authority.encode("ascii"), hidden.authority_key)
        pem = authority.sign(spki, member.farm_id, node_id, self._clock.now())
        self.own.files.keep_certificate(pem)
        log.info("peer_certificate_made", extra={"node": node_id})


def needs_renewal(identity: PeerIdentity, member: FarmMember, digest: bytes, now: datetime) -> bool:
    """Whether the certificate runs out soon, or is not this node's own."""
    own = (identity.farm_id, identity.node_id, identity.key_digest)
    return (
        own != (member.farm_id, member.node_id, digest) or identity.expires_at - now < RENEW_BEFORE
    )
