"""The farm's durable things, as read from the database: tenants, users, flavours, images, VMs."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from qvdnode.model.ids import (
    FlavourId,
    Generation,
    ImageId,
    NodeId,
    TenantId,
    UserId,
    VmId,
)
from qvdnode.model.transfer import Transfer
from qvdnode.model.vm_state import VmState

DEFAULT_DRIVER: Final = "lxc"
DEFAULT_HIBERNATE_AFTER_S: Final = 300


class Drain(StrEnum):
    """Whether a node is being emptied, for maintenance or to be removed."""

    NO = "no"
    """It starts desktops."""
    STAY = "stay"
    """It starts none; those that run stay."""
    MOVE = "move"
    """It starts none, and stops those that nobody is connected to."""


class Takeover(StrEnum):
    """What becomes of a desktop whose node is lost, if another node has the same homes.

    What is not saved in its user's home is lost with the node in any case.
    """

    NEVER = "never"
    """It goes on when its node is back, or when an administrator has given the node up."""
    AT_CONNECT = "at_connect"
    """It starts on another node when its user connects."""
    AT_ONCE = "at_once"
    """It starts on another node as soon as that is safe."""


class KeptOverlay(StrEnum):
    """What becomes of what a desktop changes outside of its user's home."""

    FRESH = "fresh"
    """It is thrown away with each stop."""
    KEEP = "keep"
    """It stays, and moves to new versions of the image."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A group of users and their things, isolated from others."""

    id: TenantId
    name: str
    blocked: bool
    assistance: bool = True
    """Whether helpers may ask its users to see their desktops."""


@dataclass(frozen=True, slots=True)
class User:
    """A person of one tenant. The password hash is never part of this value."""

    id: UserId
    tenant_id: TenantId
    tenant: str
    login: str
    blocked: bool
    created_at: datetime
    home_node: NodeId | None = None
    """The node that has the user's home; None before the first start of any of their VMs."""


@dataclass(frozen=True, slots=True)
class Image:
    """A repository of versions of a root file system; `head_version` is the one that starts."""

    id: ImageId
    name: str
    head_version: int | None
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FlavourDraft:
    """A kind of desktop to be, or what an existing one is to become."""

    tenant_id: TenantId
    name: str
    image_id: ImageId
    driver: str
    """What runs its desktops, by the name that nodes offer it under (vm/guest_driver.py)."""
    memory_mib: int
    cpu_pct: int
    """100 is one core."""
    pids_max: int
    disk_mib: int
    home_mib: int
    application: str | None
    """The one program this flavour shows instead of a desktop, as a command the session runs."""
    shell: str
    locale: str
    timezone: str
    egress: bool
    """Whether guests may open connections to the world behind the uplink."""
    hibernate_after_s: int
    """How long nobody must have used a desktop until it may be hibernated; 0: never."""
    idle_minutes: int
    """After so many minutes without a key or the pointer the client is disconnected, as by a lock;
    0 for never."""
    nesting: bool
    """Whether programs may mount in namespaces of their own, as bubblewrap does."""
    takeover: Takeover
    overlay: KeptOverlay
    clipboard: Transfer
    """Which way the clipboard works between desktops and users' machines."""
    files: Transfer
    """Which way users may move files between their homes and their browsers."""


@dataclass(frozen=True, slots=True)
class Flavour(FlavourDraft):
    """What kind of desktop: image, resources, driver, limits."""

    id: FlavourId
    image: str
    """The name of the image."""


@dataclass(frozen=True, slots=True)
class Vm:
    """One user's machine of a flavour."""

    id: VmId
    tenant_id: TenantId
    user_id: UserId
    user_login: str
    flavour_id: FlavourId
    flavour: str
    name: str
    blocked: bool
    is_application: bool
    state: VmState
    generation: Generation
    owner_node: NodeId | None
    error: str | None
    """Why the last start failed, for people; cleared by the next start."""


@dataclass(frozen=True, slots=True)
class DesktopOrder:
    """All that a start of one VM needs to know, read in one statement."""

    vm: Vm
    user: User
    flavour: Flavour
    image_version: int
    may_wait: bool = True
    """Whether it may wait for a start slot; otherwise a node without a free one refuses it."""
