"""Files of a user's home, as they go to the user's browser and come from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from qvdnode.model.home_path import UPLOAD_PREFIX

PART_BYTES_MAX: Final = 1 << 20
"""The most that is read or written at once."""


class FileKind(StrEnum):
    """What stands behind a name."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"
    """A link, a socket, or a name that is not text: it is shown, and cannot be opened."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One name in a folder."""

    name: str
    kind: FileKind
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class FileListing:
    """What is in a folder."""

    entries: Sequence[FileEntry]
    free_bytes: int
    """What can still be written to the home."""
    is_cut: bool
    """Whether the folder has more entries than are listed."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of a file."""

    content: bytes
    size_bytes: int
    """Size of the whole file."""
    version: str
    """Differs after the file was changed or replaced."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is to come, whole or in several attempts."""

    folder: str
    name: str
    size_bytes: int
    key: str
    """The same for each attempt to send the same file: 32 hexadecimal digits."""
    replace: bool
    """Whether a file of that name is replaced."""

    @property
    def part_name(self) -> str:
        """The name of what has arrived, until it is whole."""
        return UPLOAD_PREFIX + self.key


@dataclass(frozen=True, slots=True)
class UploadState:
    """How far an upload is."""

    received_bytes: int
    done: bool
    """Whether the whole file is in place."""
