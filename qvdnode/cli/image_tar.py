"""A root file system as a tar stream: a file as it is, a folder packed by GNU tar on the way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from qvdnode.host import process
from qvdnode.model.errors import Invalid

CHUNK_BYTES: Final = 256 * 1024
PACK: Final = (
    "tar",
    "--create",
    "--file=-",
    "--format=posix",
    "--numeric-owner",
    "--xattrs",
    "--xattrs-include=*",
    "--acls",
    "--sparse",
    "--one-file-system",
)
"""Owners as numbers, capabilities and ACLs included: as the guest will see them."""


def tar_of(path: Path) -> AsyncIterator[bytes]:
    """The bytes to send for a tar file or a folder; raises Invalid for anything else."""
    if path.is_dir():
        return process.stream([*PACK, "--directory", path, "."])
    if path.is_file():
        return _file(path)
    raise Invalid(f"{path} is neither a tar file nor a folder.", field="path")


async def _file(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
