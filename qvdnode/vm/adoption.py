"""What a node does with the guests that an earlier process of it left behind.

The state files tell what there was, the kernel what there is, the database whom it belongs to; the
decision is taken elsewhere (ports.Recovery) and carried out here. Works while the database is away.

A guest is ended for what is known of it, never because the node could not look: then it looks
again, and in the end goes on with the guest, whose end it would notice.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from qvdnode.model.errors import Conflict, FarmError, GuestFailed, HostFailed, PartGone
from qvdnode.model.ids import Generation, VmId
from qvdnode.model.recovery import Adopt, EndGuest, FoundGuest, MarkStopped, OwnedRow
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.supervise import contained
from qvdnode.vm import looking
from qvdnode.vm.bring_up import SharedParts
from qvdnode.vm.core.guest_record import GuestRecord
from qvdnode.vm.guest import Guest, from_record
from qvdnode.vm.parts import FleetParts

log = logging.getLogger(__name__)

LOOK_LIMIT_S: Final = 10.0
"""For all looks that have to be repeated: clients wait until the node serves again."""
DIED_UNWATCHED: Final = (
    "The guest ended while no node ran, out of memory perhaps. A connect starts it afresh."
)
NOT_WHOLE: Final = (
    "The guest had lost a part of it while no node ran (see the node's log) and was ended."
    " A connect starts it afresh."
)


@dataclass(frozen=True, slots=True)
class AdoptionReport:
    """What was found and done."""

    adopted: tuple[VmId, ...]
    ended: tuple[VmId, ...]
    """Guests that could not be gone on with; their remains are being removed."""
    released: tuple[VmId, ...]
    """Rows that said something runs which does not."""
    swept: tuple[str, ...]
    """Things that belonged to no VM of ours."""
    database: bool
    """Whether the database could be asked."""
    seconds: float


class TakeOver(Protocol):
    """Hands a found guest to its actor."""

    def __call__(self, guest: Guest, *, whole: bool, error: FarmError | None) -> None:
        """Go on with it when it is whole, end it otherwise, for that error if it is one."""
        ...


async def adopt(parts: FleetParts, shared: SharedParts, take_over: TakeOver) -> AdoptionReport:
    """Carry out the decisions; raises nothing that one guest alone could cause."""
    began_s = parts.clock.monotonic_s()
    until_s = began_s + LOOK_LIMIT_S
    records = {record.order.vm.id: record for record in await _records(parts, shared, until_s)}
    found = await _look(parts, list(records.values()), until_s)
    rows = await _rows(parts)
    adopted: list[VmId] = []
    ended: dict[VmId, FarmError | None] = {}
    released: list[VmId] = []
    for decision in parts.recovery(rows, list(found.values())):
        match decision:
            case Adopt(vm_id=vm_id):
                if await _claim(parts, shared, records[vm_id], until_s):
                    adopted.append(vm_id)
                else:
                    ended[vm_id] = GuestFailed(NOT_WHOLE, step="guest")
            case EndGuest(vm_id=vm_id, because=because):
                log.warning("guest_not_adopted", extra={"vm": vm_id, "because": because})
                await _claim(parts, shared, records[vm_id], until_s)
                ended[vm_id] = _death(parts, records[vm_id], found[vm_id], rows)
            case MarkStopped(vm_id=vm_id, generation=generation):
                if vm_id not in records:  # otherwise once its guest is gone
                    await _mark_stopped(parts, vm_id, generation)
                released.append(vm_id)
    swept = await sweep(parts, [records[vm_id] for vm_id in (*adopted, *ended)])
    # Only now: a guest that ends while it is swept for would have its rules put back.
    for vm_id in (*adopted, *ended):
        whole = vm_id in adopted
        take_over(_found(records[vm_id], rows), whole=whole, error=ended.get(vm_id))
    report = AdoptionReport(
        tuple(adopted),
        tuple(ended),
        tuple(released),
        tuple(swept),
        rows is not None,
        parts.clock.monotonic_s() - began_s,
    )
    log.info(
        "guests_adopted",
        extra={
            "adopted": len(adopted),
            "ended": len(ended),
            "released": len(released),
            "swept": len(swept),
            "seconds": round(report.seconds, 3),
        },
    )
    return report


async def sweep(parts: FleetParts, kept: Sequence[GuestRecord]) -> list[str]:
    """Remove what carries this instance's names and belongs to none of the kept guests."""
    prefix = parts.settings.prefix
    vms = [record.order.vm.id for record in kept]
    generations = [(record.order.vm.id, record.generation) for record in kept]
    swept: list[str] = []
    # Guests first: nothing is taken from under one that still runs.
    for work in (
        parts.driver.sweep([f"{prefix}-{vm_id}" for vm_id in vms]),
        parts.confinement.reconcile([record.port for record in kept]),
        parts.rootfs.sweep(generations),
        parts.run_folders.sweep(vms),
    ):
        # One stray must not keep the node from starting.
        with contained("sweep_failed"):
            try:
                swept += await work
            except FarmError as error:
                log.warning("sweep_failed", extra={"because": str(error)})
    for name in swept:
        log.warning("leftover_removed", extra={"what": name})
    return swept


async def release_unknown(parts: FleetParts, known: Callable[[], Collection[VmId]]) -> None:
    """Once the database is back: release the rows of guests that an earlier process lost."""
    while (rows := await _rows(parts)) is None:
        await parts.clock.sleep(parts.settings.retry_s)
    for row in rows:
        if row.vm_id not in known():
            await _mark_stopped(parts, row.vm_id, row.generation)


def _found(record: GuestRecord, rows: Sequence[OwnedRow] | None) -> Guest:
    guest = from_record(record)
    if rows is not None:
        # A row that is not this node's is not for it to write, one of another start is.
        claims = {row.vm_id: row.generation for row in rows}
        guest.claimed = claims.get(record.order.vm.id)
    return guest


async def _records(parts: FleetParts, shared: SharedParts, until_s: float) -> list[GuestRecord]:
    """The state files; raises HostFailed, since without them every guest would be a stranger."""

    async def read() -> list[GuestRecord]:
        return shared.state_files.read_all()

    return await looking.repeated(parts.clock, read, what="state files", until_s=until_s)


async def _look(
    parts: FleetParts, records: Sequence[GuestRecord], until_s: float
) -> dict[VmId, FoundGuest]:
    alive = await asyncio.gather(*(_is_alive(parts, record, until_s) for record in records))
    return {
        record.order.vm.id: FoundGuest(record.order.vm.id, record.generation, lives)
        for record, lives in zip(records, alive, strict=True)
    }


async def _is_alive(parts: FleetParts, record: GuestRecord, until_s: float) -> bool:
    if record.boot_id != parts.boot_id or record.process is None:
        return False
    vm_id = record.order.vm.id
    spec = from_record(record).spec(parts.settings.prefix, parts.run_folders.path(vm_id))
    if spec is None:
        return False
    try:
        process = await looking.repeated(
            parts.clock,
            lambda: parts.driver.find(spec),
            what="find",
            vm_id=vm_id,
            until_s=until_s,
        )
    except HostFailed as error:
        log.warning("guest_taken_for_alive", extra={"vm": vm_id, "because": str(error)})
        return True
    return process == record.process


def _death(
    parts: FleetParts, record: GuestRecord, found: FoundGuest, rows: Sequence[OwnedRow] | None
) -> FarmError | None:
    # A start or a stop that was broken off is no death, nor is the end of a boot of the host.
    states = {(row.vm_id, row.generation): row.state for row in rows or ()}
    was = states.get((record.order.vm.id, record.generation), VmState.RUNNING)
    came_up = was is VmState.RUNNING and record.process is not None
    died = came_up and record.boot_id == parts.boot_id and not found.alive
    return GuestFailed(DIED_UNWATCHED, step="guest") if died else None


async def _rows(parts: FleetParts) -> list[OwnedRow] | None:
    try:
        owned = await parts.store.owned()
    except FarmError as error:
        log.warning("rows_unread", extra={"because": str(error)})
        return None
    return [OwnedRow(vm_id, generation, state) for vm_id, generation, state in owned]


async def _claim(
    parts: FleetParts, shared: SharedParts, record: GuestRecord, until_s: float
) -> bool:
    """Mark what the guest has as taken; False if it is known that a part of it is missing."""
    vm_id = record.order.vm.id
    if not shared.slots.claim(record.ids):
        log.warning("guest_not_whole", extra={"vm": vm_id, "because": "its ids are not ours"})
        return False
    with contained("guest_adopted_unseen", vm=vm_id):
        try:
            return await looking.repeated(
                parts.clock,
                lambda: _is_whole(parts, record),
                what="parts",
                vm_id=vm_id,
                until_s=until_s,
            )
        except (Conflict, PartGone) as error:
            log.warning("guest_not_whole", extra={"vm": vm_id, "because": str(error)})
            return False
        except HostFailed as error:
            log.warning("guest_adopted_unseen", extra={"vm": vm_id, "because": str(error)})
    return True


async def _is_whole(parts: FleetParts, record: GuestRecord) -> bool:
    vm_id = record.order.vm.id
    await parts.confinement.claim(vm_id, record.port)
    mounted = await parts.rootfs.adopt(vm_id, record.order.user.id, record.generation)
    return mounted and await parts.run_folders.adopt(vm_id)


async def _mark_stopped(parts: FleetParts, vm_id: VmId, generation: Generation) -> None:
    try:
        await parts.store.release(vm_id, generation, VmState.STOPPED)
    except FarmError as error:
        log.warning("row_not_released", extra={"vm": vm_id, "because": str(error)})
