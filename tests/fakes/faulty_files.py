"""A disk that fails, or stops the program, at one step; a crash leaves only what was synced.

`unsynced` and `unsynced_names` follow what a power loss may take: content that no sync wrote out,
and names given since the last sync of their folder.
"""

import errno
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from qvdnode.image.store.files import HostFiles


class Crash(BaseException):
    """The machine lost its power."""


@dataclass(slots=True)
class FaultyFiles:
    """Satisfies image.store.files.Files; the step `fails_at`, counted from 0, does not happen."""

    fails_at: int | None = None
    crashes: bool = False
    steps: int = 0
    unsynced: set[Path] = field(default_factory=set)
    unsynced_names: list[tuple[Path, Path, bytes | None]] = field(default_factory=list)
    _real: HostFiles = field(default_factory=HostFiles)

    def make_folder(self, path: Path) -> None:
        """May fail."""
        self._step()
        self._real.make_folder(path)

    def create(self, path: Path, content: bytes) -> None:
        """May fail in the middle of the content."""
        try:
            self._step()
        except BaseException:
            path.write_bytes(content[: len(content) // 2])
            raise
        self._real.create(path, content)

    def open_new(self, path: Path) -> BinaryIO:
        """May fail."""
        self._step()
        self.unsynced.add(path)
        return self._real.open_new(path)

    def strip(self, path: Path) -> None:
        """May fail."""
        self._step()
        self._real.strip(path)

    def rename(self, source: Path, target: Path) -> None:
        """May fail."""
        self._step()
        before = target.read_bytes() if target.exists() else None
        self._real.rename(source, target)
        self.unsynced_names.append((source, target, before))
        if source in self.unsynced:
            self.unsynced.discard(source)
            self.unsynced.add(target)

    def unlink(self, path: Path) -> None:
        """May fail."""
        self._step()
        self._real.unlink(path)

    def remove_tree(self, path: Path) -> None:
        """May fail."""
        self._step()
        self._real.remove_tree(path)

    def append(self, path: Path, line: bytes) -> None:
        """May fail in the middle of the line."""
        try:
            self._step()
        except BaseException:
            with path.open("ab") as stream:
                stream.write(line[: len(line) // 2])
            raise
        self._real.append(path, line)

    def sync(self, folder: Path) -> None:
        """May fail."""
        self._step()
        self.unsynced_names = [n for n in self.unsynced_names if n[1].parent != folder]

    def sync_all(self, folder: Path) -> None:
        """May fail."""
        self._step()
        self.unsynced.clear()
        self.unsynced_names.clear()

    def lose_content(self) -> None:
        """What no sync wrote out is empty after the power loss."""
        for path in self.unsynced:
            if path.exists():
                path.chmod(0o600)
                path.write_bytes(b"")

    def lose_names(self) -> None:
        """Names that no sync wrote out are as before."""
        for source, target, before in reversed(self.unsynced_names):
            if target.exists():
                source.parent.mkdir(parents=True, exist_ok=True)
                target.rename(source)
            if before is not None:
                target.write_bytes(before)

    def _step(self) -> None:
        number, self.steps = self.steps, self.steps + 1
        if number != self.fails_at:
            return
        if self.crashes:
            raise Crash
        raise OSError(errno.ENOSPC, "No space left on device")
