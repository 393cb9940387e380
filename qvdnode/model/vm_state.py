"""States a VM and its display can be in. The tables that move them are in vm/core/."""

from enum import StrEnum
from typing import Final


class VmState(StrEnum):
    """Where a VM is in its life, as this node and the database see it."""

    STOPPED = "stopped"
    PREPARING = "preparing"
    BOOTING = "booting"
    RUNNING = "running"
    HIBERNATED = "hibernated"
    """Running, but frozen while nobody uses it: it needs no processor and little memory."""
    STOPPING = "stopping"
    KILLING = "killing"
    CLEANING = "cleaning"
    FAILED = "failed"


UP: Final = frozenset({VmState.RUNNING, VmState.HIBERNATED})
"""The desktop is there: its programs live, and a client reaches it without a start."""


class DisplayState(StrEnum):
    """Where the nxagent of a running VM is in its life."""

    OFF = "off"
    STARTING = "starting"
    LISTENING = "listening"
    CONNECTED = "connected"
    SUSPENDING = "suspending"
    SUSPENDED = "suspended"
    STOPPING = "stopping"


class WireState(StrEnum):
    """The three states that QVD clients know."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"


ON_THE_WIRE: Final[dict[VmState, WireState]] = {
    VmState.STOPPED: WireState.STOPPED,
    VmState.FAILED: WireState.STOPPED,
    VmState.PREPARING: WireState.STARTING,
    VmState.BOOTING: WireState.STARTING,
    VmState.RUNNING: WireState.RUNNING,
    VmState.HIBERNATED: WireState.RUNNING,
    VmState.STOPPING: WireState.RUNNING,
    VmState.KILLING: WireState.RUNNING,
    VmState.CLEANING: WireState.RUNNING,
}
