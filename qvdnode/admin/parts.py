"""The objects that the REST endpoints use; daemon/build.py fills them in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aiohttp import web

from qvdnode.admin.audit_trail import AuditTrail
from qvdnode.admin.farm_images import FarmImages
from qvdnode.auth.authenticator import Authenticator
from qvdnode.auth.browser_sessions import BrowserLogins
from qvdnode.auth.operators import Operators
from qvdnode.auth.passwords import PasswordHasher
from qvdnode.cluster.core.placement import Load
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.audit import Audit
from qvdnode.db.browser_sessions import BrowserSessions
from qvdnode.db.flavours import Flavours
from qvdnode.db.image_refs import ImageRefs
from qvdnode.db.images import Images
from qvdnode.db.nodes import Nodes
from qvdnode.db.placements import Placements
from qvdnode.db.rollouts import Rollouts
from qvdnode.db.sessions import Sessions
from qvdnode.db.tenants import Tenants
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.desk.desks import Desks
from qvdnode.image.contents import ImageContents
from qvdnode.image.core.disk_promise import StoreFigures
from qvdnode.image.home_snapshots import HomeSnapshots
from qvdnode.image.importer import Importer
from qvdnode.memopt.report import MemoryReport
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import DriverCheck
from qvdnode.model.ids import NodeId
from qvdnode.runtime.supervise import Supervisor
from qvdnode.session.desktops import Desktops
from qvdnode.session.hosts import Hosts
from qvdnode.session.place import LocalPlacement
from qvdnode.telemetry.repeated_events import RepeatedEvents
from qvdnode.vm.ports import ImageSupply
from qvdnode.vm.status import FleetLoad
from qvdnode.web.assets import Pages
from qvdnode.web.core.figure_ring import FigurePoint
from qvdnode.web.event_hub import EventHub
from qvdnode.web.settings import WebSettings


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Facts and limits of this node at one moment."""

    name: str
    version: str
    fingerprint: str
    """Fingerprint of the certificate at the clients' port."""
    client_port: int
    admin_port: int
    started_at: datetime
    memory_total_mib: int
    memory_available_mib: int
    memory_reserved_mib: int
    """Kept for the host itself; never promised to guests."""
    guests_max: int
    starts_at_once_max: int
    drivers: Mapping[str, DriverCheck]
    """What it can run guests with, by name, and whether that works."""
    disk: Sequence[StoreFigures] = ()
    """The last measurement of the file systems of roots and homes."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Tenants, users, operators, and how they authenticate."""

    tenants: Tenants
    users: Users
    authenticator: Authenticator
    hasher: PasswordHasher
    operators: Operators
    api_tokens: ApiTokens
    browsers: BrowserLogins
    browser_sessions: BrowserSessions


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Flavours, images, and which versions of them start."""

    flavours: Flavours
    images: Images
    refs: ImageRefs
    importer: Importer
    supply: ImageSupply
    contents: ImageContents
    rollouts: Rollouts

    @property
    def farm(self) -> FarmImages:
        """Versions, branches and tags of the whole farm."""
        return FarmImages(self.images, self.refs, self.importer.versions, self.supply)


@dataclass(frozen=True, slots=True)
class Records:
    """Sessions and the audit trail."""

    sessions: Sessions
    audit: Audit
    trail: AuditTrail


@dataclass(frozen=True, slots=True)
class JoinLine:
    """What a new host needs to join the farm."""

    url: str
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """How this node gets on with a node of the farm."""

    here: bool
    """Whether it is this node."""
    reached: bool | None
    """Whether the last attempt to reach it succeeded; None for none, and for this node."""
    age_s: float | None
    """How long ago that was."""
    reason: str | None
    """Why it could not be reached, or what is wrong with it."""
    runs_database: bool
    """Whether the farm's database is embedded in it."""


@dataclass(frozen=True, slots=True)
class KeyRotationFacts:
    """How far a change of the membership's key is."""

    step: str
    """`none`, `added` or `used`, which every node that serves must have done."""
    waits_for: Sequence[str]
    """Names of the nodes that have not done it yet."""


@dataclass(frozen=True, slots=True)
class PlacementParts:
    """Why desktops run where they run."""

    now: LocalPlacement
    past: Placements
    loads: Callable[[], Sequence[Load]]
    """Returns the newest load of each node that is up, as this node knows it."""
    settled: Callable[[DesktopOrder], Awaitable[DesktopOrder]]
    """The order after a takeover from a node that was lost, if need be."""


class FarmAccess(Protocol):
    """The farm as seen from this node."""

    async def invite(self, *, name: str | None, life_s: float | None) -> JoinLine:
        """Make an invitation for one host; raises Unavailable, Invalid."""
        ...

    def facts(self, node_id: NodeId) -> PeerFacts:
        """How this node gets on with that one."""
        ...

    async def rotate_key(self) -> None:
        """Begin to change the membership's key; raises Conflict, Unavailable."""
        ...

    async def key_rotation(self) -> KeyRotationFacts:
        """How far the change is; raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class AdminParts:
    """All objects that the endpoints use."""

    accounts: Accounts
    catalogue: Catalogue
    records: Records
    vms: Vms
    nodes: Nodes
    farm: FarmAccess
    hosts: Hosts
    desktops: Desktops
    """What users do with their desktops."""
    desks: Desks
    """Desktops that are used in browsers."""
    placement: PlacementParts
    homes: HomeSnapshots
    """Snapshots of the homes of this node."""
    load: Callable[[], FleetLoad]
    """Returns the load of all guests of this node."""
    facts: Callable[[], NodeFacts]
    memory: Callable[[], MemoryReport]
    """Where the host's memory went."""
    not_ready: Callable[[], str | None]
    """Returns why no desktop can be started here now, as a sentence; None when one can."""
    port_events: RepeatedEvents
    """Counts requests without a token for the log."""
    figures: Callable[[float], Sequence[FigurePoint]]
    """Returns what this node measured since a time."""
    events: EventHub
    """The changes of the farm, as they happen."""
    pages: Pages
    """The files of the web pages."""
    web: WebSettings
    supervisor: Supervisor
    """Owns the tasks of starts and stops that no request waits for."""


PARTS: web.AppKey[AdminParts] = web.AppKey("parts", AdminParts)
