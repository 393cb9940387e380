"""What a listing of a user's desktops shows."""

from dataclasses import dataclass

from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import WireState


@dataclass(frozen=True, slots=True)
class DesktopEntry:
    """One row of list_of_vm or list_of_applications."""

    id: VmId
    name: str
    state: WireState
    blocked: bool
    is_application: bool
