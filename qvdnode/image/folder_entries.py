"""Reads a root file system that lies in a folder, entry by entry. Runs in the unpacking child."""

# tested-by: tests/integration/image/test_importer.py

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from qvdnode.image.core.entry import Entry, Kind, kept_attribute
from qvdnode.model.errors import BadImage


def entries(folder: Path) -> Iterator[tuple[Entry, IO[bytes] | None]]:
    """Each entry with its content if it has some; links and owners as they are."""
    if folder.is_symlink() or not folder.is_dir():
        raise BadImage(f"{folder} is no folder")
    first_names: dict[tuple[int, int], str] = {}
    for path in _walk(folder):
        facts = path.lstat()
        entry = _entry(path, str(path.relative_to(folder)), facts, first_names)
        if entry.kind is not Kind.FILE:
            yield entry, None
            continue
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as content:
            yield entry, content


def _walk(folder: Path) -> Iterator[Path]:
    yield folder
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and not inner.is_symlink():
            yield from _walk(inner)
        else:
            yield inner


def _entry(
    path: Path, name: str, facts: os.stat_result, first_names: dict[tuple[int, int], str]
) -> Entry:
    kind = _kind(facts.st_mode)
    target = str(path.readlink()) if kind is Kind.SYMLINK else ""
    if kind is Kind.FILE and facts.st_nlink > 1:
        first = first_names.setdefault((facts.st_dev, facts.st_ino), name)
        if first != name:
            kind, target = Kind.HARDLINK, first
    return Entry(
        name=name,
        kind=kind,
        mode=stat.S_IMODE(facts.st_mode),
        uid=facts.st_uid,
        gid=facts.st_gid,
        modified=facts.st_mtime,
        size=facts.st_size if kind is Kind.FILE else 0,
        target=target,
        attributes={
            key: os.getxattr(path, key, follow_symlinks=False)
            for key in os.listxattr(path, follow_symlinks=False)
            if kept_attribute(key)
        },
    )


def _kind(mode: int) -> Kind:
    tests = (
        (stat.S_ISREG, Kind.FILE),
        (stat.S_ISDIR, Kind.FOLDER),
        (stat.S_ISLNK, Kind.SYMLINK),
        (stat.S_ISFIFO, Kind.FIFO),
        (stat.S_ISCHR, Kind.DEVICE),
        (stat.S_ISBLK, Kind.DEVICE),
    )
    return next((kind for test, kind in tests if test(mode)), Kind.OTHER)
