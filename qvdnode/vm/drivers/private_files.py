"""Writes the files by which drivers tell their engines what a guest is."""

import contextlib
import os
from pathlib import Path

from qvdnode.model.errors import HostFailed


def write_private(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file that only root reads, or whom `mode` lets; raises HostFailed, leaving none."""

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, mode)

    try:
        with open(path, "w", encoding="utf-8", opener=opened) as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise HostFailed(f"{path} cannot be written: {error.strerror}") from error


def put(path: Path, text: str, *, mode: int = 0o600) -> None:
    """The same in one step: whoever reads the file meanwhile has the old one whole."""
    staging = path.with_name(f"{path.name}.new")
    write_private(staging, text, mode=mode)
    staging.replace(path)
