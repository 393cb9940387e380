"""The first messages of a connection between nodes, and those of a join: msgpack, bounded, pure.

Each message is a frame: four bytes of length, then a msgpack map of the message's fields. A reader
ignores fields that it does not know, and a field with a default may be missing: an older program
can read a newer one.
"""

import struct
from dataclasses import MISSING, Field, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeVar, get_type_hints

import msgpack

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1
"""This program's newest version of the peer protocol."""
OLDEST: Final = max(1, VERSION - 1)
"""The oldest version that this program still speaks."""
HEADER_BYTES: Final = 4
FRAME_MAX_BYTES: Final = 16_384
FIELD_MAX_BYTES: Final = 8_192
REMOVED: Final = "removed"
"""The code of a refusal: the farm's rows say that the node that dialled was removed."""


class HelloError(ValueError):
    """Received bytes that are no such message."""


class Message(Protocol):
    """A frozen dataclass of int, str and bytes fields."""

    __dataclass_fields__: "ClassVar[dict[str, Field[Any]]]"


M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Hello:
    """Opens a connection; both ends have proved by then which node they are."""

    oldest: int
    newest: int
    """The versions of the peer protocol that the sender speaks."""
    farm: str
    """The farm's id; empty for a host that wants to join and does not know it yet."""
    purpose: str
    program: str
    """The version of the sender's program, for people."""
    time_ms: int
    """The sender's clock, in milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class HelloAnswer:
    """Accepts or refuses a Hello."""

    version: int
    """The version to speak; 0 for a refusal."""
    refusal: str
    """Why the connection is refused, for a person; empty when it is not."""
    program: str
    time_ms: int
    authority: str = ""
    """The certificate of the farm's authority in PEM, for a host that wants to join."""
    code: str = ""
    """What a program is to make of a refusal: REMOVED, or empty for one that may pass."""


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A host asks to become a node, with the token of an invitation."""

    token: str
    name: str
    address: str
    """Where other nodes are to dial it."""
    port: int
    """0 for one that it tells when it starts."""
    public_key: bytes
    """SubjectPublicKeyInfo in DER; the private key stays with the host."""
    schema: int
    """The newest schema of the database that the host's program knows."""


@dataclass(frozen=True, slots=True)
class JoinAnswer:
    """Makes the host a node, or refuses it."""

    refusal: str
    """Why it is refused, for a person; empty when it is not."""
    farm: str = ""
    node: int = 0
    certificate: str = ""
    """The node's certificate in PEM."""
    farm_key: bytes = b""
    """Opens what the farm keeps sealed in its database."""
    dsn: str = ""
    """Address of the database; empty when it is reached through the node that answers."""
    database_node: int = 0
    """The node that runs the database, when `dsn` is empty."""
    database_address: str = ""
    database_port: int = 0
    database_key: bytes = b""
    """Digest of that node's public key."""
    lease_ttl_ms: int = 0
    """The `[cluster]` settings that all nodes of a farm must share."""
    lease_renew_ms: int = 0
    lease_margin_ms: int = 0


@dataclass(frozen=True, slots=True)
class DatabaseAt:
    """Where the farm's database is, to a node of the farm that asks."""

    place: bytes
    """Sealed with the farm's key: peer.database_place."""


def frame(message: Message) -> bytes:
    """The message with its length; raises ValueError when it is too large."""
    body: bytes = msgpack.packb(asdict(message))
    if len(body) > FRAME_MAX_BYTES:
        raise ValueError(f"a message of {len(body)} bytes is too large")
    return struct.pack("!I", len(body)) + body


def body_bytes(header: bytes) -> int:
    """The length that the four bytes of a header announce; raises HelloError."""
    (length,) = struct.unpack("!I", header)
    if not 1 <= length <= FRAME_MAX_BYTES:
        raise HelloError(f"a message of {length} bytes")
    return int(length)


def parse(kind: type[M], body: bytes) -> M:
    """The message that a body holds; raises HelloError."""
    try:
        values = msgpack.unpackb(
            body, max_str_len=FIELD_MAX_BYTES, max_bin_len=FIELD_MAX_BYTES, max_map_len=64,
            max_array_len=0, max_ext_len=0,
        )  # fmt: skip
    # msgpack's own errors are ValueErrors; keys that cannot be hashed are a TypeError
    except (ValueError, TypeError, RecursionError) as error:
        raise HelloError("no msgpack") from error
    if not isinstance(values, dict):
        raise HelloError("no map")
    return kind(**{name: _checked(values, name, *rule) for name, rule in _rules(kind).items()})


def agreed_version(oldest: int, newest: int) -> int | None:
    """The version to speak with a peer of these versions; None when there is none."""
    version = min(newest, VERSION)
    return version if version >= max(oldest, OLDEST) else None


def version_refusal(oldest: int, newest: int, program: str) -> str:
    """Why the two programs cannot speak, and which one to upgrade."""
    if newest < OLDEST:
        return (
            f"the program {program} speaks the peer protocol up to version {newest}, this farm"
            f" from {OLDEST}: upgrade the older one"
        )
    return (
        f"this node speaks the peer protocol up to version {VERSION}, the program {program} from"
        f" {oldest}: upgrade this node"
    )


def _rules(kind: type[Message]) -> "Mapping[str, tuple[type, object]]":
    hints = get_type_hints(kind)
    return {item.name: (hints[item.name], item.default) for item in fields(kind)}


def _checked(values: dict[Any, Any], name: str, hint: type, default: object) -> object:
    value = values.get(name, default)
    if value is MISSING:
        raise HelloError(f"no {name}")
    if type(value) is not hint:
        raise HelloError(f"{name} is no {hint.__name__}")
    if isinstance(value, int) and not 0 <= value < 2**53:
        raise HelloError(f"{name} is out of range")
    return value
