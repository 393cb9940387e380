"""Where the farm's database is, as nodes tell each other; pure but for the nonce's caller.

It holds a password, so it is sealed with the farm's key, which only joined nodes have.
"""

import hashlib
import json
from dataclasses import dataclass, replace

from qvdnode.cluster.keyring import Forged, Keyring
from qvdnode.model.errors import Forbidden
from qvdnode.peer.farm_files import FarmMember, NodeAddress, parse_address, render_address


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """Where the farm's database is after so many moves."""

    moves: int
    dsn: str
    """Empty when a node runs the database."""
    node: NodeAddress | None = None
    """The node that runs it."""


def seal_place(place: DatabasePlace, member: FarmMember, nonce: bytes) -> bytes:
    """The place as only nodes of the farm can read it."""
    node = None if place.node is None else render_address(place.node)
    plain = {"moves": place.moves, "dsn": place.dsn, "node": node}
    return _keyring(member).seal(json.dumps(plain).encode(), nonce)


def open_place(sealed: bytes, member: FarmMember) -> DatabasePlace:
    """Read it; raises Forbidden when it is not of this farm."""
    try:
        return parse_place(_keyring(member).open(sealed))
    except (Forged, ValueError) as error:
        raise Forbidden("This node's key does not open where the farm's database is.") from error


def parse_place(content: bytes) -> DatabasePlace:
    """A place from its JSON; raises ValueError."""
    plain = json.loads(content)
    try:
        moves, dsn, node = plain["moves"], plain["dsn"], plain["node"]
        if type(moves) is not int or not isinstance(dsn, str):
            raise ValueError("a field is wrong")
        place = DatabasePlace(moves, dsn, None if node is None else parse_address(node))
    except (KeyError, TypeError) as error:
        raise ValueError(f"a field is missing or wrong: {error}") from error
    if bool(place.dsn) == (place.node is not None):
        raise ValueError("it names a DSN or a node")
    return place


def followed(member: FarmMember, place: DatabasePlace, before: str) -> FarmMember:
    """The membership of a host that follows to that place; `before` is the DSN that it used."""
    left = [digest for digest in member.left if not place.dsn or digest != dsn_digest(place.dsn)]
    if before and before != place.dsn and dsn_digest(before) not in left:
        left.append(dsn_digest(before))
    here = place.node is not None and place.node.node_id == member.node_id
    return replace(
        member,
        dsn=place.dsn,
        database_node=None if here else place.node,
        moves=place.moves,
        left=tuple(left),
    )


def has_left(member: FarmMember | None, dsn: str) -> bool:
    """Whether the farm has moved away from the database of this DSN."""
    return member is not None and dsn_digest(dsn) in member.left


def dsn_digest(dsn: str) -> str:
    """What is kept of a DSN that is not needed any more: not its password."""
    return hashlib.sha256(dsn.encode()).hexdigest()


def _keyring(member: FarmMember) -> Keyring:
    return Keyring(member.farm_id, [member.farm_key])
