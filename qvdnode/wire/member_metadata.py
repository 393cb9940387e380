"""What a member of the farm announces of itself beside its name and address. Pure."""

from dataclasses import dataclass
from typing import Final, Self

import msgpack

from qvdnode.wire.swim import METADATA_MAX_BYTES

VERSION_MAX_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class MemberMetadata:
    """Which node a member is, and which program it runs."""

    node_id: int
    """The id of the node's row in the database."""
    version: str
    """Version of the program, for administrators."""

    def encode(self) -> bytes:
        """As announced; raises ValueError if the version is too long."""
        if len(self.version) > VERSION_MAX_CHARS:
            raise ValueError(f"a version of more than {VERSION_MAX_CHARS} characters")
        packed: bytes = msgpack.packb([self.node_id, self.version])
        return packed

    @classmethod
    def decode(cls, data: bytes) -> Self | None:
        """What a member announced; None when it makes no sense to this program.

        More fields may follow those that are known: a newer program announces more.
        """
        if len(data) > METADATA_MAX_BYTES:
            return None
        try:
            fields = msgpack.unpackb(data, use_list=False, max_ext_len=0)
        except (ValueError, msgpack.UnpackException):
            return None
        if not isinstance(fields, tuple) or len(fields) < 2:
            return None
        node_id, version = fields[:2]
        if type(node_id) is not int or node_id < 1 or not isinstance(version, str):
            return None
        if len(version) > VERSION_MAX_CHARS or not version.isprintable():
            return None
        return cls(node_id, version)
