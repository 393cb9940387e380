"""Decides what to do with guests and rows that an earlier process of the node left. Pure.

Rule 1: the row says who owns a VM, the host says what runs; every decision has a reason, which is
logged.
Rule 2: a guest whose generation is not the row's is ended.
Rule 3: while the database is away no running guest is ended: its row may agree.
Rule 4: ends come before releases, so that a row is never free while its guest still runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qvdnode.model.ids import Generation, VmId
from qvdnode.model.vm_state import UP, VmState


@dataclass(frozen=True, slots=True)
class OwnedRow:
    """A row of the database that says: this node owns the VM, in this generation."""

    vm_id: VmId
    generation: Generation
    state: VmState
    """As it was written last."""


@dataclass(frozen=True, slots=True)
class FoundGuest:
    """A guest that has a state file on this node."""

    vm_id: VmId
    generation: Generation
    alive: bool
    """Its PID 1 still runs: same pid, same start time, same boot of the host."""
    launched_here: bool = True
    """Whether it ran once, in this boot of the host."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Adopt a guest that runs."""

    vm_id: VmId
    generation: Generation
    reason: str


@dataclass(frozen=True, slots=True)
class EndGuest:
    """Kill what is left of a guest and remove its mounts, rules and state file."""

    vm_id: VmId
    generation: Generation
    reason: str
    died: bool = False
    """Whether it crashed while no node ran, which its user must learn. An interrupted start or stop
    is not a crash, nor is a reboot of the host."""


@dataclass(frozen=True, slots=True)
class MarkStopped:
    """Release the row: nothing of that generation runs any more."""

    vm_id: VmId
    generation: Generation
    reason: str


Decision = Adopt | EndGuest | MarkStopped

CONFIRMED: Final = "it runs, and the database says it is ours"
UNCONFIRMED: Final = "it runs, and the database cannot be asked"
GONE: Final = "the guest ended while no node watched it, or the host was started anew"
LEFT_OVER: Final = "the guest is gone; what it left behind is removed"
NOT_OURS: Final = "the database does not say that this node owns it"
OTHER_GENERATION: Final = "the database knows another generation of it"


def decide(rows: Sequence[OwnedRow] | None, found: Sequence[FoundGuest]) -> list[Decision]:
    """What to do, in this order; `rows` is None while the database is away."""
    if rows is None:
        return [_without_database(guest) for guest in found]
    owned = {row.vm_id: row for row in rows}
    adopted = {guest.vm_id for guest in found if _is_ours(guest, owned)}
    guests = [_judge(guest, owned) for guest in found]
    released = [
        MarkStopped(row.vm_id, row.generation, GONE) for row in rows if row.vm_id not in adopted
    ]
    return [*guests, *released]


def acquired_generation(rows: Sequence[OwnedRow] | None, found: FoundGuest) -> Generation | None:
    """Under which generation the VM's row is this node's to write; None if it is not.

    That can be another one than the guest's. While the database is away the guest's is assumed.
    """
    if rows is None:
        return found.generation
    return {row.vm_id: row.generation for row in rows}.get(found.vm_id)


def _without_database(guest: FoundGuest) -> Decision:
    if guest.alive:
        return Adopt(guest.vm_id, guest.generation, UNCONFIRMED)
    return EndGuest(guest.vm_id, guest.generation, LEFT_OVER, died=guest.launched_here)


def _judge(guest: FoundGuest, owned: dict[VmId, OwnedRow]) -> Decision:
    if not guest.alive:
        return EndGuest(guest.vm_id, guest.generation, LEFT_OVER, died=_died(guest, owned))
    if _is_ours(guest, owned):
        return Adopt(guest.vm_id, guest.generation, CONFIRMED)
    reason = OTHER_GENERATION if guest.vm_id in owned else NOT_OURS
    return EndGuest(guest.vm_id, guest.generation, reason)


def _died(guest: FoundGuest, owned: dict[VmId, OwnedRow]) -> bool:
    row = owned.get(guest.vm_id)
    is_own = row is not None and row.generation == guest.generation
    was = row.state if row is not None and is_own else VmState.RUNNING
    return guest.launched_here and was in UP


def _is_ours(guest: FoundGuest, owned: dict[VmId, OwnedRow]) -> bool:
    row = owned.get(guest.vm_id)
    return guest.alive and row is not None and row.generation == guest.generation
