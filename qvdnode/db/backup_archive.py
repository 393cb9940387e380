"""A backup is a tar file: a manifest with checksums, one file per table, and files of the node."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from qvdnode.host.trusted_path import PathUse, require
from qvdnode.model.errors import Conflict, HostFailed, Invalid, NotFound
from qvdnode.runtime.safe_files import new_file, open_regular

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
TABLES_FOLDER: Final = "tables"
FILES_FOLDER: Final = "files"
CHUNK_BYTES: Final = 1_048_576
MEMBERS_MAX: Final = 1_000
MANIFEST_BYTES_MAX: Final = 1_048_576
FILE_BYTES_MAX: Final = 1_048_576
"""Most bytes of a file of the node, such as a chain of certificates."""


@dataclass(frozen=True, slots=True)
class TableDump:
    """One table in the archive, in the text format of COPY."""

    name: str
    columns: tuple[str, ...]
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds."""

    schema: int
    made_at: str
    """ISO 8601, by the database's clock."""
    tables: tuple[TableDump, ...]


def write_archive(
    to: Path,
    manifest: Manifest,
    dumps: Mapping[str, Path],
    files: Mapping[str, Path],
    *,
    folder: int | None = None,
) -> None:
    """Put everything into a new file that only its owner can read, whole or not at all.

    `folder` is the open folder of `to`, where the caller has checked it. Raises Conflict when the
    file exists, HostFailed when it cannot be written.
    """
    if os.path.lexists(to):
        raise _taken(to)
    try:
        with (
            new_file(to, folder=folder) as stream,
            tarfile.open(fileobj=stream, mode="w") as tar,
        ):
            text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1).encode()
            member = tarfile.TarInfo(MANIFEST)
            member.size, member.mode = len(text), 0o600
            tar.addfile(member, io.BytesIO(text))
            for name, path in dumps.items():
                tar.add(path, f"{TABLES_FOLDER}/{name}", recursive=False)
            for name, path in files.items():
                tar.add(path, f"{FILES_FOLDER}/{name}", recursive=False)
    except FileExistsError as error:
        raise _taken(to) from error
    except OSError as error:
        raise HostFailed(f"The backup cannot be written to {to}: {error.strerror}.") from error


def _taken(to: Path) -> Conflict:
    return Conflict(f"{to} exists already; choose another name.")


class Archive:
    """A backup that is being read; its checksums were verified."""

    def __init__(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        self._tar = tar
        self.manifest = manifest

    def table(self, name: str) -> BinaryIO:
        """The rows of one table."""
        return _member(self._tar, f"{TABLES_FOLDER}/{name}")

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The node's own files: names without folders, and what they hold."""
        for member in self._tar.getmembers():
            folder, _, name = member.name.rpartition("/")
            if folder == FILES_FOLDER and name not in ("", ".", "..") and member.isfile():
                yield name, _member(self._tar, member.name, size_max=FILE_BYTES_MAX).read()


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Read a backup.

    Raises NotFound, Invalid when it is not a complete backup, HostFailed when another user of this
    host could have put it there: it brings the passwords and tokens that will be accepted.
    """
    try:
        require(path, PathUse.FILE)
        with _opened(path) as tar:
            manifest = _read_manifest(tar)
            for table in manifest.tables:
                _check(tar, table)
            yield Archive(tar, manifest)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.") from error
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from error
    except (tarfile.TarError, EOFError) as error:
        raise Invalid(f"{path} is not a complete backup: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """The file with all its headers read; they may hold numbers that are none, or further
    headers without end."""
    with ExitStack() as open_files:
        stream = open_files.enter_context(open_regular(path))
        try:
            file = open_files.enter_context(tarfile.open(fileobj=stream, mode="r:"))
            for number, _ in enumerate(file):
                if number >= MEMBERS_MAX:
                    raise Invalid(f"{path} is not a backup: it holds over {MEMBERS_MAX} files.")
        except (ValueError, RecursionError) as error:
            raise Invalid(f"{path} is not a complete backup: {error}") from error
        yield file


def _read_manifest(tar: tarfile.TarFile) -> Manifest:
    try:
        raw = json.loads(_member(tar, MANIFEST, size_max=MANIFEST_BYTES_MAX).read())
        if raw["format"] != FORMAT:
            raise Invalid(f"The backup has format {raw['format']}; this program reads {FORMAT}.")
        tables = tuple(
            TableDump(
                str(item["name"]),
                tuple(map(str, item["columns"])),
                int(item["rows"]),
                str(item["sha256"]),
            )
            for item in raw["tables"]
        )
        return Manifest(int(raw["schema"]), str(raw["made_at"]), tables)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Invalid(f"The backup's manifest is unreadable: {error!r}") from error


def _check(tar: tarfile.TarFile, table: TableDump) -> None:
    found = hashlib.sha256()
    with _member(tar, f"{TABLES_FOLDER}/{table.name}") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            found.update(chunk)
    if found.hexdigest() != table.sha256:
        raise Invalid(f"The backup is damaged: the checksum of table {table.name} is wrong.")


def _member(tar: tarfile.TarFile, name: str, *, size_max: int | None = None) -> BinaryIO:
    """A file of the archive. Links and sparse files, which no backup has, could lead round in a
    circle or pretend to any size."""
    try:
        member = tar.getmember(name)
    except KeyError as error:
        raise Invalid(f"The backup is not whole: {name} is missing.") from error
    if not member.isreg() or member.issparse():
        raise Invalid(f"The backup is damaged: {name} is not a plain file.")
    if size_max is not None and member.size > size_max:
        raise Invalid(f"The backup is damaged: {name} has more than {size_max} bytes.")
    return cast(BinaryIO, tar.extractfile(member))
