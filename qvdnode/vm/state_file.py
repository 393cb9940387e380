"""State files on disk: one per running VM, replaced in one step."""

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed, Invalid
from qvdnode.model.ids import VmId
from qvdnode.vm.core.guest_record import GuestRecord, decode, encode

log = logging.getLogger(__name__)

SUFFIX: Final = ".json"
SIZE_MAX: Final = 256 * 1024


class StateFiles:
    """The folder of state files. A call blocks for a write to the page cache at most.

    Nothing is synced: a record matters only while its guest runs, and no guest survives a crash of
    the host.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, record: GuestRecord) -> None:
        """Put the record in place of the VM's earlier one; raises HostFailed."""
        target = self._path(record.order.vm.id)
        temporary = target.with_suffix(".new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(encode(record))
            temporary.chmod(0o600)
            os.replace(temporary, target)  # noqa: PTH105 - one call, one meaning
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise HostFailed(f"cannot write {target}: {error.strerror}") from error

    def remove(self, vm_id: VmId) -> None:
        """Forget the VM's record; safe to repeat."""
        with contextlib.suppress(OSError):
            self._path(vm_id).unlink()

    def read_all(self) -> list[GuestRecord]:
        """Every valid record; invalid files are renamed and logged."""
        records = []
        for path in self._paths():
            try:
                records.append(_record(path))
            except Invalid as error:
                log.error(  # noqa: TRY400 - the reason is the sentence, not the traceback
                    "state_file_set_aside", extra={"file": str(path), "because": str(error)}
                )
                path.rename(path.with_suffix(".unreadable"))
        return records

    def peek(self) -> list[GuestRecord]:
        """Every valid record. Changes nothing; for programs outside of the node."""
        records = []
        for path in self._paths():
            with contextlib.suppress(Invalid, OSError):
                records.append(_record(path))
        return records

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{SUFFIX}"))

    def _path(self, vm_id: VmId) -> Path:
        return self._folder / f"{vm_id}{SUFFIX}"


def _record(path: Path) -> GuestRecord:
    with path.open("rb") as file:
        return decode(file.read(SIZE_MAX))
