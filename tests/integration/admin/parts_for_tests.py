"""Builds AdminParts on a real database with fakes for what needs a host."""

import random
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import cast

from qvdnode.admin.audit_trail import AuditTrail
from qvdnode.admin.parts import (
    Accounts,
    AdminParts,
    Catalogue,
    JoinLine,
    KeyRotationFacts,
    NodeFacts,
    PeerFacts,
    PlacementParts,
    Records,
)
from qvdnode.auth.authenticator import Authenticator
from qvdnode.auth.browser_sessions import BrowserLogins, CacheLimits
from qvdnode.auth.operators import Operators
from qvdnode.auth.passwords import PasswordHasher
from qvdnode.auth.ports import LoginStores
from qvdnode.auth.settings import AuthSettings
from qvdnode.cluster.core.placement import IMAGE_BITS, Load
from qvdnode.cluster.scheduler import Scheduler
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.audit import Audit
from qvdnode.db.browser_sessions import BrowserSessions, SessionLimits
from qvdnode.db.changes import ChangeFeed
from qvdnode.db.familiar_sources import FamiliarSources
from qvdnode.db.flavours import Flavours
from qvdnode.db.image_refs import ImageRefs
from qvdnode.db.images import Images
from qvdnode.db.nodes import Nodes
from qvdnode.db.placements import Placements
from qvdnode.db.pool import Database
from qvdnode.db.rollouts import Rollouts
from qvdnode.db.sessions import Sessions
from qvdnode.db.tenants import Tenants
from qvdnode.db.user_tokens import UserTokens
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.desk.desks import Desks
from qvdnode.desk.settings import BrowserSettings
from qvdnode.host.cgroups import probe
from qvdnode.image.contents import ImageContents
from qvdnode.image.core.disk_promise import StoreFigures
from qvdnode.image.home_backup.work import Owner
from qvdnode.image.home_snapshots import HomeSnapshots
from qvdnode.image.importer import Importer
from qvdnode.image.settings import ImageSettings
from qvdnode.model.errors import Conflict
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import DriverCheck
from qvdnode.model.ids import NodeId, UserId
from qvdnode.model.seat import Progress
from qvdnode.proxy.guest_end import DisplayDialer
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.clock import Clock, SystemClock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.session.connect import Connections
from qvdnode.session.desktops import Desktops
from qvdnode.session.hosts import Hosts
from qvdnode.session.journal import SessionJournal
from qvdnode.session.place import LocalPlacement
from qvdnode.session.readiness import Readiness
from qvdnode.session.running import RunningDesktops
from qvdnode.session.viewers import Viewers
from qvdnode.telemetry.repeated_events import RepeatedEvents
from qvdnode.web.assets import Pages
from qvdnode.web.core.figure_ring import FigurePoint, Figures
from qvdnode.web.event_hub import EventHub
from qvdnode.web.settings import WebSettings
from tests.fakes.clock import ManualClock
from tests.fakes.desktop_map import MapOfDesktops
from tests.fakes.fleet import SINCE, FakeFleet
from tests.fakes.image_supply import FakeImageSupply
from tests.fakes.importer import FakeImporter
from tests.fakes.memory_report import MEMORY
from tests.fakes.node_names import NAMES

FACTS = NodeFacts(
    name="node1",
    version="0.1.0",
    fingerprint="SHA256:" + "ab" * 32,
    client_port=8443,
    admin_port=8444,
    started_at=SINCE,
    memory_total_mib=16_384,
    memory_available_mib=8_192,
    memory_reserved_mib=1_024,
    guests_max=100,
    starts_at_once_max=4,
    drivers={
        "lxc": DriverCheck(version="LXC 5.0.2"),
        "kvm": DriverCheck(problem="/dev/kvm is missing", fix="Load its module."),
    },
    disk=(StoreFigures("/state", 9_000, 8_000, 1_000),),
)
POINTS = [
    FigurePoint(
        at,
        5,
        Figures({"running": 2}, 1, 0, 12.5, 4_096, 1_024, 3_072, 1, 0, 1, ((0.1, 1), (inf, 1))),
    )
    for at in (100, 105)
]
HERE = NodeId(1)
PAGE_FILES = Path(__file__).parent / "page_files"
"""What the application serves as its web pages."""


class SmallFarm:
    """Satisfies admin.parts.FarmAccess: this node, and others that were never dialled."""

    def __init__(self) -> None:
        self.rotating = False

    async def invite(self, *, name: str | None, life_s: float | None) -> JoinLine:
        """An invitation of no farm."""
        expires_at = SINCE + timedelta(seconds=3600 if life_s is None else life_s)
        return JoinLine("qvdnode://192.0.2.1:8445", f"{name or 'any'}.pin", expires_at)

    def facts(self, node_id: NodeId) -> PeerFacts:
        """What there is to tell."""
        here = node_id == HERE
        return PeerFacts(here, None, None, None, runs_database=here)

    async def rotate_key(self) -> None:
        """Begin a change, which waits for a node for ever."""
        if self.rotating:
            raise Conflict("The key is being changed already.")
        self.rotating = True

    async def key_rotation(self) -> KeyRotationFacts:
        """How far it is."""
        return (
            KeyRotationFacts("added", ("two",)) if self.rotating else KeyRotationFacts("none", ())
        )


class OneNode:
    """Satisfies cluster.ports.LoadSource with what FACTS say and the fleet carries."""

    def __init__(self, fleet: FakeFleet) -> None:
        self._fleet = fleet

    def loads(self) -> list[Load]:
        """The node's load."""
        fleet = self._fleet.load()
        return [
            Load(
                node_id=HERE,
                capacity_mib=FACTS.memory_total_mib - FACTS.memory_reserved_mib,
                promised_mib=fleet.promised_mib,
                guests=fleet.guests,
                guests_max=FACTS.guests_max,
                starts_waiting=fleet.starts_queued,
                starts_waiting_max=100,
                start_tokens=FACTS.starts_at_once_max,
                start_tokens_free=fleet.starts_free,
                cores=4,
                run_queue=0.0,
                drivers=frozenset({"lxc"}),
                images=2**IMAGE_BITS - 1,
            )
        ]


@dataclass
class NotReady:
    """Why no desktop can be started."""

    reason: str | None = None

    def __call__(self) -> str | None:
        """The reason."""
        return self.reason


async def _as_it_is(order: DesktopOrder) -> DesktopOrder:
    return order


async def _nobody(_user_id: UserId) -> Owner:
    return Owner("", "")


def _placement(database: Database, fleet: FakeFleet) -> PlacementParts:
    source, past = OneNode(fleet), Placements(database)
    choice = Scheduler(source, NAMES, random.Random(1), ManualClock())
    return PlacementParts(
        LocalPlacement(choice, lambda: HERE, past, NAMES), past, source.loads, _as_it_is
    )


def make_parts(
    database: Database,
    fleet: FakeFleet,
    importer: FakeImporter,
    not_ready: NotReady,
    supervisor: Supervisor,
    state_dir: Path = PAGE_FILES / "no-state",
) -> AdminParts:
    """Everything the routes use; homes are in `state_dir`."""
    clock, nodes = SystemClock(), Nodes(database)
    trail = AuditTrail(Audit(database), clock)
    _ = supervisor.isolated("audit", trail.run())
    events = EventHub("tests", ChangeFeed(database), clock)
    _ = supervisor.isolated("events", events.run())
    placement = _placement(database, fleet)
    vms, hosts = Vms(database), Hosts(fleet, lambda: HERE, {}, placement.now, nodes)
    desktops = make_desktops(database, vms, hosts, clock)
    return AdminParts(
        accounts=make_accounts(database, clock),
        catalogue=Catalogue(
            Flavours(database),
            Images(database),
            ImageRefs(database),
            cast(Importer, importer),
            FakeImageSupply(),
            cast(ImageContents, importer.contents),
            Rollouts(database),
        ),
        records=Records(Sessions(database), Audit(database), trail),
        vms=vms,
        nodes=nodes,
        farm=SmallFarm(),
        hosts=hosts,
        desktops=desktops,
        desks=make_desks(desktops, clock),
        placement=placement,
        homes=HomeSnapshots(ImageSettings(state_dir=state_dir, free_floor_mib=0), _nobody, clock),
        load=fleet.load,
        facts=lambda: FACTS,
        memory=lambda: MEMORY,
        not_ready=not_ready,
        figures=lambda since: [point for point in POINTS if point.at > since],
        events=events,
        pages=Pages(PAGE_FILES),
        web=WebSettings(),
        port_events=RepeatedEvents("admin", clock.monotonic_s),
        supervisor=supervisor,
    )


async def as_it_is(order: DesktopOrder, _progress: Progress) -> DesktopOrder:
    """The order, since no node was lost."""
    return order


def make_desktops(database: Database, vms: Vms, hosts: Hosts, clock: Clock) -> Desktops:
    """What users do with their desktops."""
    journal = SessionJournal(Sessions(database), lambda: HERE, clock)
    connections = Connections(hosts, Viewers(lambda: HERE), journal, vms.order, as_it_is)
    running = RunningDesktops(hosts, MapOfDesktops())
    ready = Readiness(checks=[])
    return Desktops(vms, UserTokens(database), hosts, running, connections, ready, 10.0)


def make_desks(desktops: Desktops, clock: Clock) -> Desks:
    """Desktops in browsers, of which there can be one."""
    relay = RelaySettings()
    dialer, settings, uids = DisplayDialer(relay), BrowserSettings(), range(1)
    return Desks(desktops, dialer, relay, settings, clock, probe(), "none", uids, missing=list)


def make_accounts(database: Database, clock: Clock) -> Accounts:
    """Those who log in, and how."""
    settings, hasher = AuthSettings(), PasswordHasher(threads=1)
    users, api_tokens = Users(database), ApiTokens(database)
    browsers = BrowserSessions(database, SessionLimits())
    return Accounts(
        tenants=Tenants(database),
        users=users,
        authenticator=Authenticator(
            LoginStores(users, UserTokens(database), FamiliarSources(database)),
            hasher,
            clock,
            settings,
            random.Random(1),
        ),
        hasher=hasher,
        operators=Operators(api_tokens, clock, settings),
        api_tokens=api_tokens,
        browsers=BrowserLogins(browsers, clock, CacheLimits(1_000, 1_800), timedelta(minutes=10)),
        browser_sessions=browsers,
    )
