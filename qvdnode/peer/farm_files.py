"""What makes this host a node of its farm, in `farm/` of the state folder, for root alone.

`farm.json` is written whole or not at all, and last: without it the host has not joined.
"""

import binascii
import json
import logging
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from qvdnode.model.errors import HostFailed
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.runtime.safe_files import open_regular, replace_file
from qvdnode.tls.farm_authority import (
    BadCertificate,
    PeerIdentity,
    client_context,
    new_node_key,
    public_key,
    read_node,
    server_context,
)

log = logging.getLogger(__name__)

FARM_FILE: Final = "farm.json"
KEY_FILE: Final = "node.key"
CERTIFICATE_FILE: Final = "node.crt"
FARM_KEY_BYTES: Final = 32
FILE_MAX_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Where a node is dialled, and what it is recognised by."""

    node_id: NodeId
    host: str
    port: int
    key: bytes
    """Digest of its public key."""


@dataclass(frozen=True, slots=True)
class FarmMember:
    """This host's membership of a farm."""

    farm_id: FarmId
    authority: str
    """The certificate of the farm's authority, in PEM."""
    farm_key: bytes
    """Opens the farm's secrets in the database."""
    node_id: NodeId | None = None
    """This node's number; None until it has one."""
    dsn: str = ""
    """The farm's database as the joined node was told; the configuration comes first."""
    database_node: NodeAddress | None = None
    """The node that runs the farm's database, if this host reaches it through that node."""
    moves: int = 0
    """How often the farm had moved to another database when this was written."""
    left: tuple[str, ...] = ()
    """Digests of the DSNs of databases that the farm has left."""


class FarmFiles:
    """Reads and writes the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def certificate_file(self) -> Path:
        """This node's certificate."""
        return self._folder / CERTIFICATE_FILE

    def member(self) -> FarmMember | None:
        """The membership; None for a host that has joined no farm. Raises HostFailed."""
        path = self._folder / FARM_FILE
        try:
            with open_regular(path) as stream:
                content = stream.read(FILE_MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostFailed(f"{path} cannot be read: {error.strerror}") from error
        try:
            return parse_member(content)
        except ValueError as error:
            raise HostFailed(
                f"{path} is damaged ({error}): restore it from a backup of the host, or join again"
            ) from error

    def keep(self, member: FarmMember) -> None:
        """Write the membership down; raises HostFailed."""
        self._write(FARM_FILE, render_member(member))

    def forget(self) -> None:
        """Remove the membership; the key stays. Raises HostFailed."""
        try:
            (self._folder / FARM_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise HostFailed(f"{error.filename} cannot be removed: {error.strerror}") from error

    def key_pem(self) -> bytes:
        """This node's private key, made if there is none; raises HostFailed."""
        path = self._folder / KEY_FILE
        try:
            if not path.exists():
                self._write(KEY_FILE, new_node_key())
            pem = path.read_bytes()
            public_key(pem)
        except OSError as error:
            raise HostFailed(f"{path} cannot be read: {error.strerror}") from error
        except BadCertificate as error:
            raise HostFailed(f"{path} holds no key of ours: remove it and join again") from error
        return pem

    def keep_certificate(self, pem: bytes) -> None:
        """Write this node's certificate; raises HostFailed."""
        self._write(CERTIFICATE_FILE, pem)

    def identity(self) -> PeerIdentity | None:
        """What this node's certificate says; None when there is none that can be read."""
        try:
            return read_node(self.certificate_file.read_bytes())
        except (OSError, BadCertificate):
            return None

    def server_context(self, member: FarmMember) -> ssl.SSLContext:
        """TLS for the peer port; raises HostFailed."""
        try:
            return server_context(
                member.authority.encode(), self.certificate_file, self._folder / KEY_FILE
            )
        except OSError as error:  # an SSLError is one
            raise self._unusable(error) from error

    def client_context(self, member: FarmMember) -> ssl.SSLContext:
        """TLS towards other nodes; raises HostFailed."""
        try:
            return client_context(
                member.authority.encode(), self.certificate_file, self._folder / KEY_FILE
            )
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> HostFailed:
        return HostFailed(f"the certificate in {self._folder} cannot be used: {error}")

    def _write(self, name: str, content: bytes) -> None:
        try:
            replace_file(self._folder / name, content)
        except OSError as error:
            raise HostFailed(
                f"{self._folder / name} cannot be written: {error.strerror}"
            ) from error


def render_member(member: FarmMember) -> bytes:
    """The content of farm.json."""
    plain: dict[str, Any] = {
        "farm_id": member.farm_id,
        "authority": member.authority,
        "farm_key": member.farm_key.hex(),
        "node_id": member.node_id,
        "dsn": member.dsn,
    }
    if member.moves:
        plain |= {"moves": member.moves, "left": list(member.left)}
    if member.database_node is not None:
        plain["database_node"] = render_address(member.database_node)
    return json.dumps(plain, indent=1).encode()


def parse_member(content: bytes) -> FarmMember:
    """A membership from farm.json; raises ValueError."""
    plain = json.loads(content)
    try:
        member = FarmMember(
            farm_id=FarmId(_text(plain["farm_id"])),
            authority=_text(plain["authority"]),
            farm_key=bytes.fromhex(plain["farm_key"]),
            node_id=None if plain["node_id"] is None else NodeId(int(plain["node_id"])),
            dsn=_text(plain["dsn"]),
            moves=int(plain.get("moves", 0)),
            left=tuple(_text(digest) for digest in plain.get("left", ())),
        )
        if "database_node" in plain:
            member = replace(member, database_node=parse_address(plain["database_node"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"a field is missing or wrong: {error}") from error
    if len(member.farm_key) != FARM_KEY_BYTES:
        raise ValueError("farm_key has another length")
    return member


def render_address(address: NodeAddress) -> dict[str, Any]:
    """An address as a JSON object."""
    return {
        "node_id": address.node_id,
        "host": address.host,
        "port": address.port,
        "key": address.key.hex(),
    }


def parse_address(plain: Any) -> NodeAddress:  # noqa: ANN401 - JSON
    """An address from a JSON object; raises ValueError, TypeError, KeyError."""
    try:
        key = binascii.unhexlify(plain["key"])
    except binascii.Error as error:
        raise ValueError("key is not hex") from error
    return NodeAddress(NodeId(int(plain["node_id"])), _text(plain["host"]), int(plain["port"]), key)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
