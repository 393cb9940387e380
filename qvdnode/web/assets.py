"""The files of the web pages, in memory, with their compressed forms and cache tags.

Each file's address has the version of all of them, so browsers keep it for ever, and an upgrade
gives every file a new address.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.web.core.csp import page_policy

STATIC: Final = Path(__file__).parent / "static"
PLACEHOLDER: Final = b"/assets/VERSION/"
"""What pages write for the address of the files; it becomes `/assets/` and the version."""
MEDIA: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Media types by the end of the name; files with other names are not served."""
PACKED: Final = frozenset({".png", ".woff2"})
"""Kinds of files that are compressed already."""
VERSION_CHARS: Final = 16
LOOSE_PAGES: Final = frozenset({"desktop.html"})
"""Pages without Trusted Types: noVNC sets HTML from its own texts."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    media: str
    body: bytes
    gzipped: bytes | None
    """None where compression does not help."""
    etag: str
    policy: str | None
    """The Content-Security-Policy of a page; None for other files."""


@dataclass(frozen=True, slots=True)
class Assets:
    """All files, by their path below `static/`."""

    version: str
    files: Mapping[str, Asset]


class Pages:
    """The files, read when they are first asked for: a node starts faster without them."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder
        self._assets: Assets | None = None
        self._loading = asyncio.Lock()

    async def assets(self) -> Assets:
        """Return all files; raises OSError for one that cannot be read."""
        async with self._loading:
            if self._assets is None:
                self._assets = await asyncio.to_thread(load_assets, self._folder)
            return self._assets


def load_assets(folder: Path = STATIC) -> Assets:
    """Read all files below the folder; a folder that does not exist has none.

    Links and hidden files are left out. Raises OSError for a file that cannot be read.
    """
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in MEDIA and path.is_file() and not _is_excluded(path, folder)
    }
    version = _version(found)
    return Assets(version, {name: _asset(name, body, version) for name, body in found.items()})


def _is_excluded(path: Path, folder: Path) -> bool:
    inner = path.relative_to(folder)
    hidden = any(part.startswith(".") for part in inner.parts)
    return hidden or any((folder / part).is_symlink() for part in (inner, *inner.parents))


def _version(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, body in files.items():
        digest.update(f"{name} {len(body)}\n".encode())
        digest.update(body)
    return digest.hexdigest()[:VERSION_CHARS]


def _asset(name: str, body: bytes, version: str) -> Asset:
    suffix = Path(name).suffix
    policy = None
    if suffix == ".html":
        body = body.replace(PLACEHOLDER, f"/assets/{version}/".encode())
        policy = page_policy(body.decode(), trusted_types=name not in LOOSE_PAGES)
    packed = None if suffix in PACKED else gzip.compress(body, mtime=0)
    if packed is not None and len(packed) >= len(body):
        packed = None
    etag = hashlib.sha256(body).hexdigest()[: 2 * VERSION_CHARS]
    return Asset(MEDIA[suffix], body, packed, etag, policy)
