"""What a place for commits can do; a registry and a folder do it."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from qvdnode.image.core.oci import Blob

Count = Callable[[int], None]
"""Called with the bytes that were moved since the last call."""


class Place(Protocol):
    """One image's place at a remote: a repository of a registry, or an OCI layout.

    Each raises Unavailable when it cannot be reached, is too slow or cuts off, Forbidden when it
    refuses the login, BadImage when what it sends is not what it should be, HostFailed for the disk
    of this host.
    """

    async def tags(self) -> list[str]:
        """All tags; none where there is nothing yet."""
        ...

    async def document(self, tag: str) -> bytes | None:
        """The manifest that a tag points to, or None."""
        ...

    async def put_document(self, raw: bytes, tag: str) -> None:
        """Store a manifest, and have a tag point to it, wherever that points now."""
        ...

    async def has(self, blob: Blob) -> bool:
        """Whether a blob is there."""
        ...

    async def put(self, blob: Blob, source: Path, count: Count) -> None:
        """Store a blob."""
        ...

    async def get(self, blob: Blob, target: Path, count: Count) -> None:
        """Fetch a blob to a file, after what an earlier attempt has left there.

        The file is whole on return, by size and digest.
        """
        ...
