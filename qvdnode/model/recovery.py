"""What a node found when it came up, and what it decides to do about it.

Shared by who looks (vm), who decides (cluster/core/recovery.py) and who acts (vm again).
"""

from dataclasses import dataclass

from qvdnode.model.ids import Generation, VmId
from qvdnode.model.vm_state import VmState


@dataclass(frozen=True, slots=True)
class OwnedRow:
    """A row of the database that says: this node owns the VM, in this generation."""

    vm_id: VmId
    generation: Generation
    state: VmState
    """As it was written last."""


@dataclass(frozen=True, slots=True)
class FoundGuest:
    """A guest that this node's state files tell of."""

    vm_id: VmId
    generation: Generation
    alive: bool
    """Its PID 1 still runs: same pid, same start time, same boot of the host."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Go on with a guest that outlived the process which started it."""

    vm_id: VmId
    generation: Generation
    because: str


@dataclass(frozen=True, slots=True)
class EndGuest:
    """Kill what is left of a guest and remove its mounts, rules and state file."""

    vm_id: VmId
    generation: Generation
    because: str


@dataclass(frozen=True, slots=True)
class MarkStopped:
    """Release the row: nothing of that generation runs any more."""

    vm_id: VmId
    generation: Generation
    because: str


Decision = Adopt | EndGuest | MarkStopped
