"""/node/memory: where the memory of the answering node's host went, and what was done about it."""

from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.reading import NoBody, NoQuery
from qvdnode.memopt.core.figures import MIB, GuestFigures
from qvdnode.memopt.report import MemoryReport
from qvdnode.model.vm_state import VmState


class HostUse(AnswerModel):
    """The host's memory, in MiB."""

    total_mib: int
    available_mib: int
    cached_mib: int
    """Files in memory, shared by all desktops of an image."""
    swap_total_mib: int
    swap_free_mib: int
    stalled_pct: float
    """Share of the last ten seconds in which a program waited for memory."""


class SwapDevice(AnswerModel):
    """The compressed swap device that the node made."""

    holds_mib: int
    takes_mib: int
    """Memory that it takes, after compression."""


class MergedMemory(AnswerModel):
    """What merging equal pages saves, and costs."""

    saved_mib: int
    cpu_s: float
    """Processor time of the kernel's thread since the host's start."""
    pages_per_s: int
    """How many pages are looked at, at most; 0 if another program sets the pace."""
    reason: str
    """Why so many."""


class LiveReclaim(AnswerModel):
    """What was pushed to swap of desktops that run."""

    pushed_mib: int
    """Since the node's process began; some of it was read back."""
    reason: str
    """Why that much or no more, by the last measurement."""


class GuestUse(AnswerModel):
    """One guest by the last measurement, some seconds ago."""

    vm_id: int
    name: str
    user: str
    state: VmState
    viewer: bool
    """Whether a client is attached."""
    unused_since: datetime | None
    used_mib: int
    programs_mib: int
    """What only swap can take: of programs, and of file systems in memory."""
    cached_mib: int
    swapped_mib: int
    """Before compression."""
    cpu_pct: float
    """Percent of one core since the measurement before."""


class MemoryAction(AnswerModel):
    """Something that was done about memory, and why."""

    at: datetime
    vm_id: int
    what: str
    reason: str


class NodeMemory(AnswerModel):
    """Where the memory went."""

    host: HostUse
    node_mib: int
    """Memory of the node's own process."""
    database_mib: int
    """Memory of the embedded database; 0 when the database is elsewhere."""
    guests_mib: int
    """Memory of all guests together."""
    zram: SwapDevice | None
    merged: MergedMemory
    live_reclaim: LiveReclaim
    credit_mib: int
    """May be promised beyond the capacity, because it is measured to be saved."""
    growth_mib: int
    """What desktops that were just started are expected to take."""
    obstacle: str | None
    """What keeps desktops awake that should hibernate; null when nothing does."""
    guests: list[GuestUse]
    actions: list[MemoryAction]
    """The last ones, oldest first."""


async def show_memory(call: ApiCall[NoBody, NoQuery]) -> NodeMemory:
    """Where the memory of the answering node's host went."""
    return view(call.parts.memory())


def view(report: MemoryReport) -> NodeMemory:
    """A report as REST shows it."""
    host, zram, merged = report.host, report.zram, report.merged
    return NodeMemory(
        host=HostUse(
            total_mib=host.total_mib,
            available_mib=host.available_mib,
            cached_mib=host.cached_mib,
            swap_total_mib=host.swap_total_mib,
            swap_free_mib=host.swap_free_mib,
            stalled_pct=report.pressure.some_pct,
        ),
        node_mib=report.node_mib,
        database_mib=report.database_mib,
        guests_mib=sum(guest.memory.used_bytes for guest in report.guests) // MIB,
        zram=None
        if zram is None
        else SwapDevice(holds_mib=zram.holds_mib, takes_mib=zram.takes_mib),
        merged=MergedMemory(
            saved_mib=merged.saved_mib,
            cpu_s=merged.ksmd_cpu_s,
            pages_per_s=report.merge_pages_per_s,
            reason=report.merge_reason,
        ),
        live_reclaim=LiveReclaim(
            pushed_mib=report.live_reclaimed_mib, reason=report.live_reclaim_reason
        ),
        credit_mib=report.outlook.credit_mib,
        growth_mib=report.outlook.growth_mib,
        obstacle=report.obstacle,
        guests=[_guest(guest) for guest in report.guests],
        actions=[
            MemoryAction(at=one.at, vm_id=one.vm_id, what=one.what, reason=one.reason)
            for one in report.actions
        ],
    )


def _guest(guest: GuestFigures) -> GuestUse:
    return GuestUse(
        vm_id=guest.vm_id,
        name=guest.name,
        user=guest.user,
        state=guest.state,
        viewer=guest.viewer,
        unused_since=guest.unused_since,
        used_mib=guest.memory.used_bytes // MIB,
        programs_mib=guest.memory.anon_bytes // MIB,
        cached_mib=guest.memory.cache_bytes // MIB,
        swapped_mib=guest.memory.swapped_bytes // MIB,
        cpu_pct=round(guest.cpu_pct, 2),
    )


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/node/memory",
        handler=show_memory,
        summary="Show where the memory of the answering node's host went",
        tag="nodes",
        body=NoBody,
        query=NoQuery,
        answer=NodeMemory,
    ),
)
