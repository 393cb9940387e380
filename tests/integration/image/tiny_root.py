"""The smallest root file systems that mean something, as tar streams and as folders."""

import io
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

SESSION = b"#!/bin/sh\n# qvd-session-version: 1\nexit 0\n"
SHELL = Path("/bin/sh").resolve()


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry of a tar."""

    name: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    link: str = ""
    pax: tuple[tuple[str, str], ...] = ()


def complete(*more: Piece) -> list[Piece]:
    """A root that an import accepts, and more."""
    return [
        Piece("./usr/bin/dash", SHELL.read_bytes()),
        Piece("./bin", kind=tarfile.SYMTYPE, link="usr/bin"),
        Piece("./usr/bin/sh", kind=tarfile.SYMTYPE, link="/bin/dash"),
        Piece("./usr/lib/qvd/session", SESSION),
        Piece("./usr/lib/qvd/init", b"#!/bin/sh\n"),
        Piece("./etc/passwd", b"root:x:0:0::/root:/bin/sh\n", mode=0o644),
        Piece("./etc/group", b"root:x:0:\n", mode=0o644),
        Piece("./etc/shadow", b"root:*::::::\n", mode=0o640, gid=42),
        *more,
    ]


def without(name: str) -> list[Piece]:
    """A root that lacks one file."""
    return [piece for piece in complete() if not piece.name.endswith(name)]


def tar(pieces: list[Piece]) -> bytes:
    """The pieces as an archive of the PAX kind."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for piece in pieces:
            info = tarfile.TarInfo(piece.name)
            info.type, info.mode, info.linkname = piece.kind, piece.mode, piece.link
            info.uid, info.gid, info.mtime = piece.uid, piece.gid, 1_700_000_000
            info.size = len(piece.content)
            info.pax_headers = dict(piece.pax)
            archive.addfile(info, io.BytesIO(piece.content))
    return stream.getvalue()


async def stream(content: bytes, chunk: int = 10_000) -> AsyncIterator[bytes]:
    """Bytes as they come from a network."""
    for start in range(0, len(content), chunk):
        yield content[start : start + chunk]
