"""Adopts or ends the guests that an earlier process of the node left.

State files list the guests of earlier processes, the kernel those that still run, and the
database their owners.
core/recovery.py decides; this module carries that out. It works while the database is away.

A guest is ended for what is known of it, never because a check failed. A failed check is retried;
in the end the guest is adopted unchecked, since the node notices its end.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from qvdnode.model.errors import Conflict, FarmError, GuestFailed, HostFailed, PartGone
from qvdnode.model.ids import Generation, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.supervise import contained
from qvdnode.vm import retry
from qvdnode.vm.core import recovery
from qvdnode.vm.core.guest_record import GuestRecord
from qvdnode.vm.core.recovery import Adopt, Decision, EndGuest, FoundGuest, MarkStopped, OwnedRow
from qvdnode.vm.dependencies import FleetDependencies, FleetState
from qvdnode.vm.resources import GuestResources, from_record

log = logging.getLogger(__name__)

RETRY_LIMIT_S: Final = 10.0
"""For all retries together: clients wait until the node serves again."""
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
    """Guests that could not be adopted; they are being removed."""
    released: tuple[VmId, ...]
    """Rows of guests that do not run."""
    swept: tuple[str, ...]
    """Things that belonged to no VM of ours."""
    database: bool
    """Whether the database could be asked."""
    seconds: float


@dataclass(frozen=True, slots=True)
class FoundResources:
    """A guest for its actor to take over, or to end."""

    guest: GuestResources
    acquired: Generation | None
    """Under which generation the VM's row is this node's; None when it is not."""
    whole: bool
    error: FarmError | None
    """Why it must be ended, where that was not to be expected."""


async def adopt(
    dependencies: FleetDependencies,
    state: FleetState,
    take_over: Callable[[FoundResources], None],
) -> AdoptionReport:
    """Decide about every guest and row, and act on it. No single guest can make it fail."""
    began_s = dependencies.clock.monotonic_s()
    until_s = began_s + RETRY_LIMIT_S
    records = {
        record.order.vm.id: record for record in await _records(dependencies, state, until_s)
    }
    found, rows = await asyncio.gather(
        _find(dependencies, list(records.values()), until_s), _rows(dependencies)
    )
    adopted: list[VmId] = []
    ended: dict[VmId, FarmError | None] = {}
    released: list[VmId] = []
    for decision in recovery.decide(rows, list(found.values())):
        _log_decision(decision)
        match decision:
            case Adopt(vm_id=vm_id):
                if await _adopt_guest(dependencies, state, records[vm_id], until_s):
                    adopted.append(vm_id)
                else:
                    ended[vm_id] = GuestFailed(NOT_WHOLE, step="guest")
            case EndGuest(vm_id=vm_id, died=died):
                await _adopt_guest(dependencies, state, records[vm_id], until_s)
                ended[vm_id] = GuestFailed(DIED_UNWATCHED, step="guest") if died else None
            case MarkStopped(vm_id=vm_id, generation=generation):
                if vm_id not in records:  # otherwise once its guest is gone
                    await _mark_stopped(dependencies, vm_id, generation)
                released.append(vm_id)
    swept = await sweep(dependencies, [records[vm_id] for vm_id in (*adopted, *ended)])
    # Only now: were an actor to release a port during the sweep, the sweep would restore its rules.
    for vm_id in (*adopted, *ended):
        whole = vm_id in adopted
        acquired = recovery.acquired_generation(rows, found[vm_id])
        guest = from_record(records[vm_id])
        take_over(FoundResources(guest, acquired, whole, ended.get(vm_id)))
    report = AdoptionReport(
        tuple(adopted),
        tuple(ended),
        tuple(released),
        tuple(swept),
        rows is not None,
        dependencies.clock.monotonic_s() - began_s,
    )
    _log_report(report)
    return report


def _log_report(report: AdoptionReport) -> None:
    log.info(
        "guests_adopted",
        extra={
            "adopted": len(report.adopted),
            "ended": len(report.ended),
            "released": len(report.released),
            "swept": len(report.swept),
            "seconds": round(report.seconds, 3),
        },
    )


def _log_decision(decision: Decision) -> None:
    facts = {"vm": decision.vm_id, "because": decision.reason}
    match decision:
        case Adopt():
            log.info("guest_adopted", extra=facts)
        case EndGuest():
            log.warning("guest_not_adopted", extra=facts)
        case MarkStopped():
            log.warning("row_marked_stopped", extra=facts)


async def sweep(dependencies: FleetDependencies, kept: Sequence[GuestRecord]) -> list[str]:
    """Remove what carries this instance's names and belongs to none of the kept guests."""
    prefix = dependencies.instance.prefix
    vms = [record.order.vm.id for record in kept]
    generations = [(record.order.vm.id, record.generation) for record in kept]
    guests = [(record.driver, f"{prefix}-{record.order.vm.id}") for record in kept]
    # Guests first: nothing is taken from under one that still runs.
    swept = await _swept(dependencies.drivers.sweep(guests))
    others = await asyncio.gather(
        _swept(dependencies.confinement.reconcile([record.port for record in kept])),
        _swept(dependencies.rootfs.sweep(generations)),
        _swept(dependencies.run_folders.sweep(vms)),
    )
    swept += [name for names in others for name in names]
    for name in swept:
        log.warning("leftover_removed", extra={"what": name})
    return swept


async def _swept(work: Awaitable[Sequence[str]]) -> list[str]:
    """What one sweep removed. One that fails must not keep the node from starting."""
    with contained("sweep_failed"):
        try:
            return list(await work)
        except FarmError as error:
            log.warning("sweep_failed", extra={"because": str(error)})
    return []


async def release_unknown(
    dependencies: FleetDependencies, known: Callable[[], Collection[VmId]]
) -> None:
    """Once the database is back: release the rows of guests that an earlier process lost."""
    while (rows := await _rows(dependencies)) is None:
        await dependencies.clock.sleep(dependencies.settings.retry_s)
    for row in rows:
        if row.vm_id not in known():
            await _mark_stopped(dependencies, row.vm_id, row.generation)


async def _records(
    dependencies: FleetDependencies, state: FleetState, until_s: float
) -> list[GuestRecord]:
    """The state files. Raises HostFailed: without them every guest would be swept as a leftover."""

    async def read() -> list[GuestRecord]:
        return state.state_files.read_all()

    return await retry.retry(dependencies.clock, read, what="state files", until_s=until_s)


async def _find(
    dependencies: FleetDependencies, records: Sequence[GuestRecord], until_s: float
) -> dict[VmId, FoundGuest]:
    alive = await asyncio.gather(*(_is_alive(dependencies, record, until_s) for record in records))
    return {
        record.order.vm.id: FoundGuest(
            record.order.vm.id,
            record.generation,
            lives,
            launched_here=record.process is not None and record.boot_id == dependencies.boot_id,
        )
        for record, lives in zip(records, alive, strict=True)
    }


async def _is_alive(dependencies: FleetDependencies, record: GuestRecord, until_s: float) -> bool:
    if record.boot_id != dependencies.boot_id or record.process is None:
        return False
    vm_id = record.order.vm.id
    guest = from_record(record)
    spec = dependencies.spec(guest)
    if spec is None:
        return False
    if (problem := dependencies.drivers.absence(record.driver)) is not None:
        # Only that driver can find it. Until a node has it, the guest keeps its address and mounts.
        log.warning("guest_assumed_alive", extra={"vm": vm_id, "because": problem})
        return True
    try:
        process = await retry.retry(
            dependencies.clock,
            lambda: dependencies.driver(guest).find(spec),
            what="find",
            vm_id=vm_id,
            until_s=until_s,
        )
    except HostFailed as error:
        log.warning("guest_assumed_alive", extra={"vm": vm_id, "because": str(error)})
        return True
    return process == record.process


async def _rows(dependencies: FleetDependencies) -> list[OwnedRow] | None:
    try:
        owned = await dependencies.store.owned()
    except FarmError as error:
        log.warning("rows_not_read", extra={"because": str(error)})
        return None
    return [OwnedRow(vm_id, generation, state) for vm_id, generation, state in owned]


async def _adopt_guest(
    dependencies: FleetDependencies, state: FleetState, record: GuestRecord, until_s: float
) -> bool:
    """Mark what the guest has as taken; False if it is known that a part of it is missing."""
    vm_id = record.order.vm.id
    if not state.slots.adopt(record.ids):
        log.warning("guest_not_whole", extra={"vm": vm_id, "because": "its ids are not ours"})
        return False
    with contained("guest_adopted_unchecked", vm=vm_id):
        try:
            return await retry.retry(
                dependencies.clock,
                lambda: _is_whole(dependencies, record),
                what="parts",
                vm_id=vm_id,
                until_s=until_s,
            )
        except (Conflict, PartGone) as error:
            log.warning("guest_not_whole", extra={"vm": vm_id, "because": str(error)})
            return False
        except HostFailed as error:
            log.warning("guest_adopted_unchecked", extra={"vm": vm_id, "because": str(error)})
    return True


async def _is_whole(dependencies: FleetDependencies, record: GuestRecord) -> bool:
    vm_id = record.order.vm.id
    await dependencies.confinement.adopt(vm_id, record.port)
    mounted = await dependencies.rootfs.adopt(vm_id, record.order.user.id, record.generation)
    return mounted and await dependencies.run_folders.adopt(vm_id)


async def _mark_stopped(
    dependencies: FleetDependencies, vm_id: VmId, generation: Generation
) -> None:
    try:
        await dependencies.store.release(vm_id, generation, VmState.STOPPED)
    except FarmError as error:
        log.warning("row_not_released", extra={"vm": vm_id, "because": str(error)})
