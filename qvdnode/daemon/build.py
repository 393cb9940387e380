"""The composition root: the only place that knows which class stands behind which Protocol."""
# long: it is the list of the node's parts, which is read from top to bottom

import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from qvdnode.admin.audit_trail import AuditTrail
from qvdnode.admin.parts import Accounts, AdminParts, NodeFacts, PlacementParts, Records
from qvdnode.broker.endpoint import Endpoint
from qvdnode.cluster.scheduler import Scheduler
from qvdnode.daemon.accounts import build_accounts, user_tokens
from qvdnode.daemon.announcement import Announcement
from qvdnode.daemon.browser_desks import browser_desks
from qvdnode.daemon.draining import Draining
from qvdnode.daemon.drivers import DRIVERS, DriverOffer, MakeDriver, driver_table
from qvdnode.daemon.figures import FigureSampler
from qvdnode.daemon.fleet_parts import build_fleet
from qvdnode.daemon.gossip import Gossip
from qvdnode.daemon.image_parts import FarmSide, ImageParts, build_images, catalogue
from qvdnode.daemon.image_services import ImageServices, image_services
from qvdnode.daemon.joining import Host, Joining
from qvdnode.daemon.load_figures import OwnLoad, start_pacer
from qvdnode.daemon.membership import Membership
from qvdnode.daemon.node_inputs import NodeInputs
from qvdnode.daemon.peers import FarmPeers, PeerDesktops, advertised, build_desktops
from qvdnode.daemon.preparation import Preparation
from qvdnode.daemon.self_fence import GuardedGuests, SelfFence, all_cut_off
from qvdnode.db.audit import Audit
from qvdnode.db.changes import ChangeFeed
from qvdnode.db.nodes import NodePorts, Nodes
from qvdnode.db.ownership import Ownership
from qvdnode.db.placements import Placements
from qvdnode.db.postmaster import server_pid
from qvdnode.db.rollouts import Rollouts
from qvdnode.db.sessions import Sessions
from qvdnode.db.takeovers import Takeovers
from qvdnode.db.vms import Vms
from qvdnode.desk.desks import Desks
from qvdnode.host import cgroups
from qvdnode.host.boot import boot_id
from qvdnode.host.cgroups import probe
from qvdnode.host.forwarding import Forwarding
from qvdnode.host.free_memory import trim_memory
from qvdnode.host.inotify import Inotify
from qvdnode.host.kernel_limits import kernel_limits
from qvdnode.host.shared_sysctls import SharedSysctls
from qvdnode.image.disk_sizes import DiskSizes
from qvdnode.image.disk_watch import DiskWatch
from qvdnode.image.free_space import FreeSpaceFloor
from qvdnode.image.layout import Layout
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.memopt.admission import HostAdmission
from qvdnode.memopt.freezer import HostFreezer
from qvdnode.memopt.host_memory import HostMemoryReader
from qvdnode.memopt.host_tuning import MemoryTuning
from qvdnode.memopt.ksm import Ksm
from qvdnode.memopt.optimiser import MemoryOptimiser
from qvdnode.memopt.own_reclaim import OwnReclaim
from qvdnode.memopt.prefetch import Prefetch
from qvdnode.memopt.report import MemoryReporter
from qvdnode.memopt.zram import Zram
from qvdnode.model.farm import Takeover
from qvdnode.model.ids import NodeId
from qvdnode.net.bridge import GuestNetwork
from qvdnode.net.confinement import NftConfinement
from qvdnode.net.nft import Nft
from qvdnode.peer.viewer_events import ViewerEvents
from qvdnode.runtime.supervise import Supervisor
from qvdnode.session.connect import Connections
from qvdnode.session.desktops import STOP_MARGIN_S, Desktops
from qvdnode.session.hosts import Hosts
from qvdnode.session.journal import SessionJournal
from qvdnode.session.place import LocalPlacement
from qvdnode.session.readiness import Readiness
from qvdnode.session.running import RunningDesktops
from qvdnode.session.takeover import Rescue
from qvdnode.session.viewers import Viewers
from qvdnode.telemetry.repeated_events import RepeatedEvents
from qvdnode.vm.core.lxc_config import guests_group
from qvdnode.vm.driver_table import DriverTable
from qvdnode.vm.fleet import Fleet
from qvdnode.vm.lock_watch import LockWatch
from qvdnode.vm.start_pacer import StartPacer
from qvdnode.web.assets import Pages
from qvdnode.web.event_hub import EventHub


@dataclass(frozen=True, slots=True)
class Node:
    """Everything that daemon/serve.py starts and stops."""

    inputs: NodeInputs
    membership: Membership
    joining: Joining
    nodes: Nodes
    farm: FarmPeers
    peer_desktops: PeerDesktops
    gossip: Gossip
    sessions: Sessions
    network: GuestNetwork
    confinement: NftConfinement
    rootfs: OverlayRootfs
    disk_watch: DiskWatch
    image_parts: ImageParts
    images: ImageServices
    drivers: DriverTable
    draining: Draining
    driver_offer: DriverOffer
    fleet: Fleet
    hosts: Hosts
    rescue: Rescue
    self_fence: SelfFence
    starts: LocalPlacement
    start_pacer: StartPacer
    journal: SessionJournal
    trail: AuditTrail
    readiness: Readiness
    desktops: Desktops
    endpoint: Endpoint
    desks: Desks
    accounts: Accounts
    memory: HostMemoryReader
    optimiser: MemoryOptimiser
    memory_tuning: MemoryTuning
    reporter: MemoryReporter
    inotify: Inotify
    limits: SharedSysctls
    lock_watch: LockWatch
    events: EventHub
    figures: FigureSampler


# long: it is the list of the node's parts
def build(  # noqa: PLR0915 - as above
    inputs: NodeInputs, makers: Mapping[str, MakeDriver] = DRIVERS
) -> Node:
    """Wire one node; nothing runs yet."""
    config, clock, database = inputs.config, inputs.clock, inputs.database
    nodes, vms, sessions = Nodes(database), Vms(database), Sessions(database)
    membership = Membership(lambda seat: Ownership(database, seat))
    farm = FarmPeers(inputs.peers, config, database, inputs.way.place, membership.seat, clock)
    drivers = driver_table(config, inputs.instance, clock, makers)
    nft = Nft()
    confinement = NftConfinement(config.network, nft)
    rootfs = OverlayRootfs(config.image, Rollouts(database))
    own_reclaim = OwnReclaim(clock)
    memory = HostMemoryReader(limit_mib=config.memory.limit_mib, own=own_reclaim)
    memory.show()
    inotify = Inotify()
    viewers = Viewers(membership.node_id)
    events = ViewerEvents(membership.node_id, viewers.deliver)
    prefetch = Prefetch(cgroups.probe()) if config.memory.prefetch else None
    freezer = HostFreezer(cgroups.probe(), clock, own=own_reclaim, prefetch=prefetch)
    admission = HostAdmission(memory.memory, config.memory)
    directory = inputs.peers.directory
    self_fence = SelfFence(
        GuardedGuests(
            config.node.state_dir,
            guests_group(inputs.instance.prefix),
            lambda: fleet.control_groups(lambda order: order.flavour.takeover is Takeover.NEVER),
            config.image.homes_shared,
        ),
        lambda: membership.lease,
        lambda: all_cut_off(farm.others_that_served(), gossip.loads()),
        clock,
    )
    draining = Draining(directory.drain, membership.node_id, admission, self_fence.problem, clock)
    image_parts = build_images(
        config,
        database,
        clock,
        # The load of other nodes is known to a part that is made later.
        FarmSide(inputs.peers.dialer, directory, membership.node_id, lambda: gossip.loads()),  # noqa: PLW0108 - as above
        lambda: rootfs.reserved_mib(fleet.promised),
    )
    fleet = build_fleet(
        inputs,
        drivers,
        membership,
        confinement,
        rootfs,
        image_parts.fetcher,
        draining,
        freezer,
        inotify,
        events,
    )
    admission.show(lambda: fleet.load().promised_mib)
    ksm, zram = Ksm(), Zram(config.node.state_dir / "zram", clock)
    optimiser = MemoryOptimiser(fleet, freezer, memory, ksm, config.memory, clock)
    memory.count(optimiser.used_mib)
    admission.count(optimiser.outlook)
    peer_desktops = build_desktops(
        inputs.peers, config, clock, fleet, events, image_parts.importer.versions.store
    )
    floor = FreeSpaceFloor(config.node.state_dir, config.image.free_floor_mib)
    readiness = Readiness(
        checks=[
            lambda: None if database.available else "The database is away.",
            membership.lease_problem,
            nft.refusal,
            partial(floor.refusal, "start desktops"),
        ]
    )
    journal = SessionJournal(sessions, membership.node_id, clock)
    gossip = farm.gossip(
        OwnLoad(
            fleet,
            drivers,
            memory,
            admission,
            config.vm,
            Layout(config.node.state_dir).images,
            membership.node_id,
            draining.wanted,
            lambda: database.available,
        ),
    )
    sample, rng = config.cluster.placement_sample, random.Random(secrets.randbits(64))
    choice = Scheduler(gossip, directory, rng, clock, sample=sample)
    notes = Placements(database)
    starts = LocalPlacement(choice, membership.node_id, notes, directory, gossip.hears_more)
    hosts = Hosts(fleet, membership.node_id, peer_desktops.links, starts, nodes, directory.refresh)

    async def lives(node_id: NodeId) -> bool:
        return node_id == membership.node_id() or await nodes.is_alive(node_id)

    rescue = Rescue(Takeovers(database), directory, lives, vms.order, clock)
    connections = Connections(hosts, viewers, journal, vms.order, rescue.settled)
    stop_limit_s = config.vm.stop_limit_s + STOP_MARGIN_S
    tokens = user_tokens(config, database)
    running = RunningDesktops(hosts, peer_desktops.links)
    desktops = Desktops(vms, tokens, hosts, running, connections, readiness, stop_limit_s)
    accounts = build_accounts(config, database, clock)
    endpoint = Endpoint(
        desktops,
        accounts.authenticator,
        inputs.identity.context,
        clock,
        config.clients,
        peer_desktops.dialer,
        trim_memory,
    )
    return Node(
        inputs=inputs,
        membership=membership,
        joining=Joining(
            Host(
                config.node.name,
                advertised(config.peer),
                NodePorts(inputs.peers.port, inputs.peers.gossip.number),
                boot_id(),
                drivers.offered,
            ),
            database,
            membership,
            clock,
            config.cluster,
            farm=farm.enrolment,
            prepare=Preparation(
                accounts,
                nodes,
                config.node.state_dir,
                config.vm.id_base,
                config.image.homes_shared,
                farm.follow_rows,
            ).run,
        ),
        nodes=nodes,
        farm=farm,
        peer_desktops=peer_desktops,
        gossip=gossip,
        sessions=sessions,
        network=GuestNetwork(config.network, nft, Forwarding()),
        confinement=confinement,
        rootfs=rootfs,
        disk_watch=DiskWatch(
            config.image, DiskSizes(config.image, rootfs.ledger), clock, fleet, rootfs
        ),
        image_parts=image_parts,
        images=image_services(config, database, clock, rootfs.versions),
        drivers=drivers,
        draining=draining,
        driver_offer=DriverOffer(drivers, nodes, membership),
        fleet=fleet,
        hosts=hosts,
        rescue=rescue,
        self_fence=self_fence,
        starts=starts,
        journal=journal,
        trail=AuditTrail(Audit(database), clock),
        readiness=readiness,
        desktops=desktops,
        endpoint=endpoint,
        desks=browser_desks(config, clock, desktops, peer_desktops.dialer),
        accounts=accounts,
        memory=memory,
        optimiser=optimiser,
        start_pacer=start_pacer(fleet, memory, config.vm, clock),
        memory_tuning=MemoryTuning(config.memory, ksm, zram),
        reporter=MemoryReporter(
            memory, optimiser, ksm, zram, partial(server_pid, config.node.state_dir)
        ),
        inotify=inotify,
        limits=kernel_limits(),
        lock_watch=LockWatch(probe(), guests_group(inputs.instance.prefix), clock),
        figures=FigureSampler(fleet.statuses, fleet.load, memory.memory, clock),
        events=EventHub(secrets.token_hex(4), ChangeFeed(database), clock),
    )


# long: it is the list of what that port uses
def admin_parts(node: Node, announced: Announcement, supervisor: Supervisor) -> AdminParts:
    """What the administrators' port uses. Built last, since it reports both ports."""
    inputs = node.inputs
    config, database = inputs.config, inputs.database
    started_at = inputs.clock.now()

    def facts() -> NodeFacts:
        memory = node.memory.memory()
        return NodeFacts(
            name=config.node.name,
            version=version("qvdnode"),
            fingerprint=inputs.identity.fingerprint(),
            client_port=announced.client_port,
            admin_port=announced.admin_port,
            started_at=started_at,
            memory_total_mib=memory.total_mib,
            memory_available_mib=memory.available_mib,
            memory_reserved_mib=config.memory.host_reserve_mib,
            guests_max=config.vm.id_slots,
            starts_at_once_max=config.vm.starts_at_once,
            drivers=node.drivers.checks,
            disk=node.rootfs.ledger.show(node.fleet.promised()),
        )

    return AdminParts(
        accounts=node.accounts,
        catalogue=catalogue(database, node.image_parts, node.rootfs.contents, node.images.rollouts),
        records=Records(node.sessions, Audit(database), node.trail),
        vms=Vms(database),
        nodes=node.nodes,
        farm=node.farm,
        hosts=node.hosts,
        desktops=node.desktops,
        desks=node.desks,
        placement=PlacementParts(
            node.starts, Placements(database), node.gossip.loads, node.rescue.settled
        ),
        homes=node.images.homes,
        load=node.fleet.load,
        facts=facts,
        memory=node.reporter.report,
        not_ready=node.readiness.reason,
        port_events=RepeatedEvents("admin", inputs.clock.monotonic_s),
        figures=node.figures.ring.points,
        events=node.events,
        pages=Pages(),
        web=config.web,
        supervisor=supervisor,
    )
