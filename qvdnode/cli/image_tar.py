"""A root file system as a tar stream: a file as it is, a folder packed by GNU tar on the way."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from qvdnode.host import process
from qvdnode.host.trusted_path import PathUse, require
from qvdnode.image.contents import ImageRoot
from qvdnode.image.core import session_needs
from qvdnode.model.errors import BadImage, Invalid
from qvdnode.runtime.safe_files import open_regular

SCRIPTS: Final = (session_needs.SCRIPT, session_needs.INIT)
LIST_LIMIT_S: Final = 600.0
CHUNK_BYTES: Final = 256 * 1024
BLOCK_BYTES: Final = 512
"""What tar rounds up to."""
ENTRY_BYTES: Final = 3 * BLOCK_BYTES
"""Bytes of each entry beside its content: a header, and the times with their header."""
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


async def require_session(path: Path, *, add: bool) -> None:
    """Raise BadImage when the node would refuse the image for want of a session script.

    With `add` it is for want of what our script needs. So it is known before the upload.
    """
    has = await asyncio.to_thread(_in_folder, path) or await _in_file(path)
    refusal = (
        session_needs.refusal(session_needs.lacking(has))
        if add
        else session_needs.without_session(has)
    )
    if refusal is not None:
        raise BadImage(f"{path}: {refusal}.")


def _in_folder(path: Path) -> session_needs.Has | None:
    """Tells whether a folder has a path; None if it is not a folder."""
    if not path.is_dir():
        return None
    asked = (*SCRIPTS, *(place for need in session_needs.NEEDS for place in need.paths))
    with ImageRoot(path) as image:
        return {place for place in asked if image.has(place)}.__contains__


async def _in_file(path: Path) -> session_needs.Has:
    """Tells whether a tar file has a path; what cannot be read is for the node to refuse."""
    # GNU tar knows every compression.
    listed = await process.run(["tar", "--list", "--file", path], limit_s=LIST_LIMIT_S, check=False)
    if listed.returncode != 0:
        return lambda _path: True
    names = listed.stdout.decode(errors="replace").splitlines()
    return {name.removeprefix("./").rstrip("/") for name in names}.__contains__


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
