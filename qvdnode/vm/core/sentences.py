"""What clients, operators and the VM's row are told, as constants. Pure."""

from typing import Final

from qvdnode.vm.core.lifecycle import GuestEvent

EVICTED_BECAUSE: Final = {
    GuestEvent.EXITED: "the guest ended unexpectedly",
    GuestEvent.FILLS_DISK: "the desktop was filling the node's disk",
    GuestEvent.FILLED_DISK: "the desktop was filling the node's disk",
    GuestEvent.LEASE_LOST: "this node may not run the desktop any more",
    GuestEvent.BROKEN: "the node made a mistake",
}
"""What the attached client's session ends with, where nobody asked for the end."""
DIED: Final = "The guest ended unexpectedly, out of memory perhaps. A connect starts it afresh."
DIED_BOOTING: Final = "The guest ended while it was coming up."
MISTAKE: Final = "The node made a mistake and ended the desktop; see its log."
LET_GO: Final = "The node let go of this desktop; try again."
CRASHED: Final = (
    "The desktop ended unexpectedly: it or its display crashed. A connect starts it afresh."
)
NEVER_SHOWN: Final = "The desktop ended before it could be shown."
NOT_REACHED: Final = "The desktop could not be reached in time; try again."
STOPPED: Final = "The desktop was stopped."
STARTING: Final = "Starting virtual machine"
REDRAWS: Final = "Waiting for other desktops to be drawn"
TAKEOVER: Final = "Closing the session of another client"


def queued(place: int) -> str:
    """For who waits for a start slot."""
    return f"You are number {place} in the queue"


def session_starts(vm_id: int) -> str:
    """The session script is about to run."""
    return f"Starting X session at VM {vm_id}"


def session_comes_up(vm_id: int) -> str:
    """The display starts or resumes."""
    return f"Waiting for X session to come up on VM {vm_id}"


def connecting(vm_id: int) -> str:
    """The client may dial now."""
    return f"Connecting X session for VM_ID: {vm_id}"


def boot_limit(limit_s: float) -> str:
    """The guest was started and did not get as far as a display that listens."""
    return f"The desktop did not come up within {limit_s:g} s."
