"""Reads on in the log of a machine's console, and keeps it short."""

import os
from pathlib import Path
from typing import Final

from qvdnode.vm.core import machine_console

CONSOLE_READ: Final = 64 * 1024
"""Bytes that are looked at in one go."""
TRIMMED_AT: Final = 2 * 1024 * 1024


class ConsoleLog:
    """The log of one machine, which only grows until it is cut off here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._killed = 0
        self._offset = 0

    def killed(self) -> int:
        """How many programs its kernel has killed for want of memory. Blocks for a short read."""
        try:
            with self._path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(self._offset if self._offset <= size else 0)
                text = file.read(CONSOLE_READ)
                end = file.tell()
            if size > TRIMMED_AT:
                os.truncate(self._path, 0)
                end = 0
        except FileNotFoundError:
            return 0
        # A line that was cut off is read again with its rest.
        is_full = len(text) == CONSOLE_READ
        whole = text[: text.rfind(b"\n") + 1] or text[: len(text) if is_full else 0]
        self._offset = max(0, end - len(text) + len(whole))
        self._killed += machine_console.killed(whole)
        return self._killed
