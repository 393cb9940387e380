"""Starts that are over, kept in memory."""

from collections.abc import Sequence
from pathlib import Path

from qvdnode.model.ids import VmId
from qvdnode.vm.core.start_record import StartRecord


class MemoryPastStarts:
    """Satisfies vm.ports.PastStarts: all of them, for ever."""

    def __init__(self) -> None:
        self.kept: list[StartRecord] = []

    async def keep(self, record: StartRecord, home: Path | None) -> None:
        """Remember it."""
        self.kept.append(record)

    async def of(self, vm_id: VmId) -> Sequence[StartRecord]:
        """Those of the VM."""
        return [record for record in self.kept if record.vm_id == vm_id]
