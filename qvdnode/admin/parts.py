"""What the front door for administrators stands on; daemon/build.py fills it in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aiohttp import web

from qvdnode.admin.audit_trail import AuditTrail
from qvdnode.auth.authenticator import Authenticator
from qvdnode.auth.operators import Operators
from qvdnode.auth.passwords import PasswordHasher
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.audit import Audit
from qvdnode.db.flavours import Flavours
from qvdnode.db.images import Images
from qvdnode.db.nodes import Nodes
from qvdnode.db.sessions import Sessions
from qvdnode.db.tenants import Tenants
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.image.core.disk_promise import StoreFigures
from qvdnode.image.importer import Importer
from qvdnode.model.ids import NodeId
from qvdnode.runtime.supervise import Supervisor
from qvdnode.session.hosts import Hosts
from qvdnode.telemetry.repeated_events import RepeatedEvents
from qvdnode.vm.status import FleetLoad


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What this node is and how much it carries, at the moment of asking."""

    name: str
    version: str
    fingerprint: str
    """Of the certificate that clients see."""
    client_port: int
    admin_port: int
    started_at: datetime
    memory_total_mib: int
    memory_available_mib: int
    memory_reserved_mib: int
    """Kept for the host itself; never promised to guests."""
    guests_max: int
    starts_at_once_max: int
    disk: Sequence[StoreFigures] = ()
    """How the file systems of roots and homes stood when they were last looked at."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who may do what."""

    tenants: Tenants
    users: Users
    authenticator: Authenticator
    hasher: PasswordHasher
    operators: Operators
    api_tokens: ApiTokens


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What desktops are made of."""

    flavours: Flavours
    images: Images
    importer: Importer


@dataclass(frozen=True, slots=True)
class Records:
    """What happened."""

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


class FarmAccess(Protocol):
    """The farm as seen from this node."""

    async def invite(self, *, name: str | None, life_s: float | None) -> JoinLine:
        """Make an invitation for one host; raises Unavailable, Invalid."""
        ...

    def facts(self, node_id: NodeId) -> PeerFacts:
        """How this node gets on with that one."""
        ...


@dataclass(frozen=True, slots=True)
class AdminParts:
    """Everything the routes use."""

    accounts: Accounts
    catalogue: Catalogue
    records: Records
    vms: Vms
    nodes: Nodes
    farm: FarmAccess
    hosts: Hosts
    load: Callable[[], FleetLoad]
    """What all VMs of this node use together."""
    facts: Callable[[], NodeFacts]
    not_ready: Callable[[], str | None]
    """Why no desktop can be started here now, for a person; None when one can."""
    port_events: RepeatedEvents
    """What nobody with a token does at the port."""
    supervisor: Supervisor
    """Owns starts and stops that nobody waits for."""


PARTS: web.AppKey[AdminParts] = web.AppKey("parts", AdminParts)
