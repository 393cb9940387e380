"""Remembers the digests of a folder's files, so that its next commit reads only what changed.

As git's index does: a file whose place, size and times are the same is not read again. The time of
change of the inode cannot be set by programs, so a write always shows; a file that was changed in
the last moments before the index was written is read again, since its times could not show another
write. Everything blocks.
"""

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Final

from qvdnode.image.core.commit import is_name
from qvdnode.image.store.repository import Repository

RECENT_NS: Final = 2 * 10**9
"""Times of files may be as coarse as this, and the clock that wrote the index a little off."""
PACK_LEVEL: Final = 1


class FileIndex:
    """The index of one folder."""

    def __init__(self, store: Repository, folder: Path) -> None:
        """Read what there is; an index that is damaged is as good as none."""
        self._store = store
        name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()
        self._path = store.places.indexes / name
        self._known: dict[str, str] = {}
        self._seen: dict[str, str] = {}
        self._newest_ns = 0
        try:
            self._read(json.loads(zlib.decompress(self._path.read_bytes())))
        except (OSError, ValueError, zlib.error):
            self._known = {}

    def digest(self, facts: os.stat_result) -> str | None:
        """The digest of a file that is as it was, if the store still has its content."""
        if facts.st_ctime_ns > self._newest_ns:
            return None
        key = _key(facts)
        found = self._known.get(key)
        if found is None or _size(self._store.places.object(found)) != facts.st_size:
            return None
        self._seen[key] = found
        return found

    def add(self, facts: os.stat_result, digest: str) -> None:
        """Remember a file that was read."""
        self._seen[_key(facts)] = digest

    def save(self, now_ns: int) -> None:
        """Keep what was seen for the next time; `now_ns` is when the reading began."""
        content = {"until_ns": now_ns - RECENT_NS, "files": self._seen}
        packed = zlib.compress(json.dumps(content).encode("ascii"), PACK_LEVEL)
        self._store.files.make_folder(self._path.parent)
        self._store.place(self._path, packed)

    def _read(self, content: object) -> None:
        if not isinstance(content, dict):
            return
        until, files = content.get("until_ns"), content.get("files")
        if type(until) is int and isinstance(files, dict):
            self._newest_ns = until
            self._known = {
                str(key): digest
                for key, digest in files.items()
                if isinstance(digest, str) and is_name(digest)
            }


def _key(facts: os.stat_result) -> str:
    return ":".join(
        map(
            str,
            (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns),
        )
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
