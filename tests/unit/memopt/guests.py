"""Guests as they are measured, for tests of what follows from that."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from qvdnode.memopt.core.figures import MIB, GuestFigures
from qvdnode.model.guest import GuestMemory
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState

NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


def guest(
    vm_id: int = 1, *, unused_s: float | None = None, mib: int = 90, **facts: Any
) -> GuestFigures:
    """A desktop that runs, connected unless it is unused for so long."""
    usual = GuestFigures(
        vm_id=VmId(vm_id),
        name=f"desk{vm_id}",
        user=f"user{vm_id}",
        state=VmState.RUNNING,
        viewer=unused_s is None,
        unused_since=None if unused_s is None else NOW - timedelta(seconds=unused_s),
        grace_s=300,
        promised_mib=512,
        up_s=3600.0,
        memory=GuestMemory(mib * MIB, 512 * MIB, anon_bytes=mib * MIB),
        cpu_pct=0.1,
    )
    return replace(usual, **facts)
