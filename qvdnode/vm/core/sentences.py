"""Sentences for clients, for operators, and for the error of the VM's row."""

from typing import Final

from qvdnode.vm.core.lifecycle import GuestEvent

EVICTION_REASONS: Final = {
    GuestEvent.EXITED: "the guest ended unexpectedly",
    GuestEvent.FILLS_DISK: "the desktop was filling the node's disk",
    GuestEvent.FILLED_DISK: "the desktop was filling the node's disk",
    GuestEvent.LEASE_LOST: "this node may not run the desktop any more",
    GuestEvent.BROKEN: "the node made a mistake",
}
"""Why the attached client's session ends, where the end was not requested."""
DIED: Final = "The guest ended unexpectedly, out of memory perhaps. A connect starts it afresh."
DIED_BECAUSE: Final = "The guest ended unexpectedly: {because}. A connect starts it afresh."
DIED_BOOTING: Final = "The guest ended while it was coming up."
MISTAKE: Final = "The node made a mistake and ended the desktop; see its log."
NODE_STOPS: Final = "The node is stopping; connect again."
CRASHED: Final = (
    "The desktop ended unexpectedly: it or its display crashed. A connect starts it afresh."
)
PROGRAM_MISSING: Final = (
    "The desktop's program could not be run (exit code {code}): it is missing in the image, or it"
    " is not a program."
)
PROGRAM_FAILED: Final = (
    "The desktop's program ended with exit code {code} after {lasted_s:.0f} s, before anybody can"
    " have logged out."
)
LOGGED_OUT: Final = "You logged out; the desktop has ended."
NEVER_SHOWN: Final = "The desktop ended before it could be shown."
NOT_REACHED: Final = "The desktop could not be reached in time; try again."
STOPPED: Final = "The desktop was stopped."
STARTING: Final = "Starting virtual machine"
REDRAWS: Final = "Waiting for other desktops to be drawn"
TAKEOVER: Final = "Closing the session of another client"

QUEUED: Final = "You are number {place} in the queue"
SESSION_STARTS: Final = "Starting X session at VM {vm_id}"
SESSION_COMES_UP: Final = "Waiting for X session to come up on VM {vm_id}"
CONNECTING: Final = "Connecting X session for VM_ID: {vm_id}"
BOOT_LIMIT: Final = "The desktop did not come up within {limit_s:g} s."
