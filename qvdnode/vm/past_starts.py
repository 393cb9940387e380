"""Keeps why the last starts of each VM ended, with the guest's logs: a bounded folder of files."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from qvdnode.host.guest_files import GuestFolder
from qvdnode.model.errors import FarmError, Invalid
from qvdnode.model.ids import VmId
from qvdnode.vm.core import start_record
from qvdnode.vm.core.start_record import StartRecord

log = logging.getLogger(__name__)

SUFFIX: Final = ".json"
PER_VM: Final = 3
"""How many starts are kept of each VM."""
FILES_MAX: Final = 3000
"""Most records of all VMs together; the oldest are removed first."""
OUTPUT: Final = ".xsession-errors"
"""In the user's home: what the desktop's program printed."""
OUTPUT_TAIL: Final = 8 * 1024
SIZE_MAX: Final = 512 * 1024
"""Most bytes of one file: all logs, escaped."""


class StoredPastStarts:
    """Satisfies vm.ports.PastStarts."""

    def __init__(self, folder: Path, *, files_max: int = FILES_MAX) -> None:
        self._folder = folder
        self._files_max = files_max

    async def keep(self, record: StartRecord, home: Path | None) -> None:
        """In a thread: the home may be on a network's disk."""
        await asyncio.to_thread(self._keep, record, home)

    async def of(self, vm_id: VmId) -> Sequence[StartRecord]:
        """What cannot be read is left out."""
        return await asyncio.to_thread(self._read, vm_id)

    def _keep(self, record: StartRecord, home: Path | None) -> None:
        path = self._folder / f"{record.vm_id}-{record.generation}{SUFFIX}"
        temporary = path.with_suffix(".new")
        whole = replace(record, log=record.log + _output(home))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(start_record.encode(whole))
            temporary.chmod(0o600)
            # Not synced: what is lost with the host's power is a log of a guest that is gone.
            os.replace(temporary, path)  # noqa: PTH105 - one call, one meaning
            self._drop_old(record.vm_id)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            # A full disk must not keep a guest from being cleaned up.
            facts = {"vm": record.vm_id, "because": str(error)}
            log.warning("start_not_kept", extra=facts)

    def _read(self, vm_id: VmId) -> list[StartRecord]:
        records = []
        for path in self._paths(vm_id):
            with contextlib.suppress(OSError, Invalid), path.open("rb") as file:
                records.append(start_record.decode(file.read(SIZE_MAX)))
        return records

    def _paths(self, vm_id: VmId) -> list[Path]:
        return sorted(self._folder.glob(f"{vm_id}-*{SUFFIX}"), key=_generation)

    def _drop_old(self, vm_id: VmId) -> None:
        for path in self._paths(vm_id)[:-PER_VM]:
            path.unlink(missing_ok=True)
        everything = list(self._folder.glob(f"*{SUFFIX}"))
        if len(everything) > self._files_max:
            everything.sort(key=_age)
            for path in everything[: -self._files_max]:
                path.unlink(missing_ok=True)


def _generation(path: Path) -> int:
    number = path.stem.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # dropped at the same moment, for another VM
        return 0.0


def _output(home: Path | None) -> str:
    """The end of what the desktop's program printed; nothing where it cannot be read."""
    if home is None:
        return ""
    try:
        with GuestFolder(home) as folder:
            tail = folder.tail(OUTPUT, limit=OUTPUT_TAIL)
    except (FarmError, OSError):
        return ""
    return "" if not tail else f"\n{OUTPUT}:\n" + tail.decode(errors="replace")
