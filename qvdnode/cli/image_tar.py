"""A root file system as a tar stream: a file as it is, a folder packed by GNU tar on the way."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from qvdnode.host import process
from qvdnode.host.trusted_path import PathUse, require
from qvdnode.model.errors import Invalid
from qvdnode.runtime.safe_files import open_regular

CHUNK_BYTES: Final = 256 * 1024
BLOCK_BYTES: Final = 512
"""What tar rounds up to."""
ENTRY_BYTES: Final = 3 * BLOCK_BYTES
"""Of each entry beside its content: a header, and the times with their header."""
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
    """The bytes to send for a tar file or a folder.

    Raises Invalid for anything else, HostFailed for root where another user could exchange it.
    """
    # Debian's kernels do not even let root follow others' links in folders such as /tmp
    # (fs.protected_symlinks), so the path is not looked at by following it before it is judged.
    if os.geteuid() == 0 and os.path.lexists(path):
        is_folder = os.path.isdir(path)  # noqa: PTH112 - false instead of an error
        require(path, PathUse.OWN_FOLDER if is_folder else PathUse.FILE)
    if path.is_dir():
        return process.stream([*PACK, "--directory", path, "."])
    if path.is_file():
        return _file(path)
    raise Invalid(f"{path} is neither a tar file nor a folder.", field="path")


def size_of(path: Path) -> int:
    """About how many bytes `tar_of` will give: exact for a file, within some percent for a folder.

    Raises Invalid for anything else.
    """
    if path.is_file():
        return path.stat().st_size
    if not path.is_dir():
        raise Invalid(f"{path} is neither a tar file nor a folder.", field="path")
    found = (entry.lstat() for entry in path.rglob("*"))
    return sum(ENTRY_BYTES + _blocks(entry) * BLOCK_BYTES for entry in found)


def _blocks(entry: os.stat_result) -> int:
    content = entry.st_size if stat.S_ISREG(entry.st_mode) else 0
    return -(-content // BLOCK_BYTES)


async def _file(path: Path) -> AsyncIterator[bytes]:
    try:
        with open_regular(path) as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.", field="path") from error
