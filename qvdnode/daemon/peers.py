"""Puts together what this node needs to speak with the other nodes of its farm.

It is there before the database, which may be another node's, and is joined with it afterwards.
"""

import os
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Final

from qvdnode.admin.parts import JoinLine, KeyRotationFacts, PeerFacts
from qvdnode.cluster.gossip_port import GossipPort
from qvdnode.cluster.keyring import NONCE_BYTES
from qvdnode.cluster.ports import LoadSource
from qvdnode.daemon import state_folder
from qvdnode.daemon.config import Config
from qvdnode.daemon.gossip import Gossip
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.farm import Farm
from qvdnode.db.migrate import steps
from qvdnode.db.nodes import WAS_REMOVED, NodeMembership, Nodes
from qvdnode.db.pool import Database
from qvdnode.host.free_memory import trim_memory
from qvdnode.host.own_address import own_address
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import Forbidden, HostFailed, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer.admission import Admission, FarmDatabase
from qvdnode.peer.calls_service import CallsService
from qvdnode.peer.database_place import DatabasePlace, has_left, seal_place
from qvdnode.peer.database_tunnel import DatabaseService, DatabaseTunnel
from qvdnode.peer.desktop_teller import DesktopTeller
from qvdnode.peer.dialer import Dialer
from qvdnode.peer.directory import FILE_NAME, Directory
from qvdnode.peer.enrolment import GOSSIP_KEY_BYTES, Enrolment
from qvdnode.peer.farm_files import FarmFiles, FarmMember, NodeAddress
from qvdnode.peer.given_seats import GivenSeats
from qvdnode.peer.guest_stream import SeatDialer, StreamService
from qvdnode.peer.image_service import ImageService
from qvdnode.peer.key_rotation import KeyRotation
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.listener import Listener, Services
from qvdnode.peer.node_links import NodeLinks
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.peer.ports import PeerService, Purpose
from qvdnode.peer.remote_host import RESTART_S
from qvdnode.peer.settings import PeerSettings
from qvdnode.peer.signpost import Signpost
from qvdnode.peer.viewer_events import ViewerEvents
from qvdnode.proxy.guest_end import DisplayDialer
from qvdnode.runtime.clock import Clock, SystemClock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.vm.fleet import Fleet

READY_POLL_S: Final = 0.1
FOLLOW_EVERY_S: Final = 1.0
WILDCARDS: Final = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class PeerParts:
    """The parts that need no database."""

    own: OwnIdentity
    directory: Directory
    dialer: Dialer
    listener: Listener
    port: int
    """Where this node listens for others."""
    gossip: GossipPort


def open_peers(config: Config, clock: Clock) -> PeerParts:
    """Take the ports for nodes and read what is known of the farm; raises HostFailed."""
    own = OwnIdentity(farm_files(config))
    _ = own.load()
    directory = open_directory(config, own, clock)
    listener = Listener(own, directory, config.peer, clock, trim_memory)
    gossip = GossipPort.open(config.gossip.address, config.gossip.port)
    try:
        port = listener.listen()
    except HostFailed:
        gossip.close()
        raise
    return PeerParts(own, directory, Dialer(own, directory, clock), listener, port, gossip)


def farm_files(config: Config) -> FarmFiles:
    """The files of this host's membership."""
    return FarmFiles(config.node.state_dir / state_folder.FARM)


def open_directory(config: Config, own: OwnIdentity, clock: Clock) -> Directory:
    """The nodes that this one knows without the database."""
    member = own.member if own.ready else None
    known = [] if member is None or member.database_node is None else [member.database_node]
    return Directory(config.node.state_dir / state_folder.FARM / FILE_NAME, clock, known)


def has_others(config: Config) -> bool:
    """Whether this host's farm has other nodes, as far as this host knows; raises HostFailed."""
    own = OwnIdentity(farm_files(config))
    return own.load() and len(open_directory(config, own, SystemClock()).all()) > 1


def advertised(settings: PeerSettings) -> str:
    """Where other nodes are to dial this one."""
    if settings.advertise:
        return settings.advertise
    return own_address() if settings.address in WILDCARDS else str(ip_address(settings.address))


def database_address(config: Config, member: FarmMember | None) -> tuple[str, NodeAddress | None]:
    """The DSN of the farm's database, or the node that runs it; neither for an embedded one.

    What the configuration names comes first, unless the farm has moved away from there.
    """
    named = config.database.dsn
    if named and not has_left(member, named):
        return named, None
    return ("", None) if member is None else (member.dsn, member.database_node)


async def forget_other_farm(config: Config, database: Database) -> None:
    """After a restore: this host is no node of the farm that it was, if the database has another.

    It becomes one of the restored farm at its next start. Raises Unavailable, HostFailed.
    """
    files, row = farm_files(config), await Farm(database).get()
    member = files.member()
    if member is not None and row is not None and row.farm_id != member.farm_id:
        files.forget()


@asynccontextmanager
async def database_tunnel(
    config: Config,
    clock: Clock,
    node: NodeAddress,
    owner: Supervisor | None = None,
    *,
    number: int = 0,
) -> AsyncIterator[str]:
    """A DSN that leads to the database of that node, while the scope lasts; raises HostFailed.

    `owner` ends with Forbidden once that node has said that this one was removed from the farm:
    without its rows this node would wait for ever. `number` tells several of one process apart.
    """
    own = OwnIdentity(farm_files(config))
    _ = own.load()
    dialer = Dialer(own, open_directory(config, own, clock), clock)
    tunnel = DatabaseTunnel(config.node.state_dir, os.getpid(), dialer, node.node_id, number=number)
    async with Supervisor("database-tunnel") as tasks:
        try:
            await tunnel.open(tasks)
            with ExitStack() as undone:
                if owner is not None:
                    undone.callback(owner.essential("removal", _until_removed(dialer)).cancel)
                yield EmbeddedPostgres.dsn_at(tunnel.folder)
        finally:
            tunnel.close()


async def _until_removed(dialer: Dialer) -> None:
    await dialer.removed.wait()
    raise Forbidden(WAS_REMOVED)


@dataclass(frozen=True, slots=True)
class PeerDesktops:
    """The desktops of other nodes for this one, and this one's for others."""

    links: NodeLinks
    calls: CallsService
    streams: StreamService
    images: ImageService
    """Commits of this node's store."""
    dialer: SeatDialer
    teller: DesktopTeller


def build_desktops(
    around: PeerParts,
    config: Config,
    clock: Clock,
    fleet: Fleet,
    events: ViewerEvents,
    images: Repository,
) -> PeerDesktops:
    """The parts that carry desktops between nodes; `events` gets the way to other nodes."""
    limits, relay = LinkLimits(), config.clients.relay
    displays = DisplayDialer(relay)
    seats = GivenSeats(fleet, limits)
    rng = random.Random(secrets.randbits(64))
    links = NodeLinks(around.dialer, events.to_client, clock, limits, rng)

    def linked(node_id: NodeId) -> None:
        around.dialer.is_up(node_id)
        links.redial(node_id)

    calls = CallsService(fleet, seats, clock, limits, linked)
    events.to_node = calls.tell
    return PeerDesktops(
        links=links,
        calls=calls,
        streams=StreamService(seats, displays, TickBatch(), relay, limits),
        images=ImageService(images, limits),
        dialer=SeatDialer(events.here, displays, around.dialer, relay, limits),
        teller=DesktopTeller(fleet.statuses, calls.links, clock),
    )


class FarmPeers:
    """What needs the database as well: enrolment, admission, and what administrators are told."""

    def __init__(
        self,
        parts: PeerParts,
        config: Config,
        database: Database,
        place: Callable[[], tuple[str, NodeAddress | None]],
        seat: Callable[[], NodeMembership | None],
        clock: Clock,
    ) -> None:
        """`place` is where the database is now, as `database_address` tells it.

        `seat` is this node's row, once it has joined.
        """
        self._parts = parts
        self._clock = clock
        self._config = config
        own = parts.own
        self._place = place
        self._nodes = Nodes(database)
        self.enrolment = Enrolment(
            own, Farm(database), Nodes(database), clock, name=config.node.name
        )
        self._rotation = KeyRotation(self.enrolment, self._nodes, seat, clock)
        self.admission = Admission(
            self.enrolment,
            lambda: FarmDatabase(*place(), len(steps())),
            config.cluster,
            clock,
            lambda: (advertised(config.peer), parts.port),
        )

    def follow_rows(self) -> None:
        """The database is of this program's schema: read there which nodes there are."""
        self._parts.directory.follow(self._nodes)

    def start(self, tasks: Supervisor, desktops: PeerDesktops) -> None:
        """Serve other nodes and link to them; all waits for this node's certificate."""
        services: dict[Purpose, PeerService] = {
            Purpose.CALLS: desktops.calls,
            Purpose.STREAM: desktops.streams,
            Purpose.IMAGES: desktops.images,
            Purpose.DATABASE: DatabaseService(
                EmbeddedPostgres(self._config.database, self._clock).socket_file
            ),
            Purpose.DATABASE_PLACE: Signpost(self._sealed_place),
        }
        join = Services(self.admission, services)
        _ = tasks.essential("peer-port", self._parts.listener.run(join))
        _ = tasks.essential("peer-rows", self._parts.directory.run())
        _ = tasks.essential("peer-certificate", self.enrolment.run())
        _ = tasks.essential("peer-links", self._keep_links(desktops.links))

    @property
    def runs_database(self) -> bool:
        """Whether the farm's database is this node's embedded one."""
        return self._place() == ("", None)

    def _sealed_place(self) -> bytes:
        member, (dsn, node) = self._parts.own.member, self._place()
        if self.runs_database:
            node = own_node_address(
                self._parts.own, advertised(self._config.peer), self._parts.port
            )
        place = DatabasePlace(member.moves, dsn, node)
        return seal_place(place, member, secrets.token_bytes(NONCE_BYTES))

    def others_that_served(self) -> list[NodeId]:
        """The other nodes whose lease ran when their rows were last read."""
        own, known = self._parts.own, self._parts.directory.all()
        here = own.node_id if own.ready else None
        return [p.address.node_id for p in known if p.serves and p.address.node_id != here]

    def gossip(self, own_load: LoadSource) -> Gossip:
        """The membership that tells the others this node's load."""
        return Gossip(
            self._parts.gossip,
            advertised(self._config.peer),
            self._config.node.state_dir / state_folder.FARM,
            self._parts.own,
            self.enrolment.gossip_keys,
            self._parts.directory,
            own_load,
            self._clock,
            self._rotation.run,
        )

    async def _keep_links(self, links: NodeLinks) -> None:
        """Link to every other node that serves, once this one knows which it is itself."""
        own, directory = self._parts.own, self._parts.directory
        while not own.ready:
            await self._clock.sleep(READY_POLL_S)

        served_s = dict[NodeId, float]()

        def follow() -> None:
            now_s = self._clock.monotonic_s()
            served_s.update(
                {peer.address.node_id: now_s for peer in directory.all() if peer.serves}
            )
            known = {peer.address.node_id for peer in directory.all()} - {own.node_id}
            # A node that is being restarted does not serve, and clients wait here for its link.
            links.follow(
                one for one in known if one in served_s and served_s[one] > now_s - RESTART_S
            )

        directory.on_change(follow)
        async with Supervisor("keep-links") as tasks:
            _ = tasks.essential("peer-links", links.run())
            while True:
                follow()
                await self._clock.sleep(FOLLOW_EVERY_S)

    async def invite(self, *, name: str | None, life_s: float | None) -> JoinLine:
        """As admin.parts.FarmAccess."""
        life = self._config.peer.invitation_life_s if life_s is None else life_s
        made = await self.admission.invite(name=name, life_s=life)
        return JoinLine(made.url, made.token, _whole_seconds(made.expires_at))

    async def rotate_key(self) -> None:
        """As admin.parts.FarmAccess."""
        await self._rotation.begin(secrets.token_bytes(GOSSIP_KEY_BYTES))

    async def key_rotation(self) -> KeyRotationFacts:
        """As admin.parts.FarmAccess."""
        state = await self._rotation.state()
        return KeyRotationFacts(state.step, state.waits_for)

    def facts(self, node_id: NodeId) -> PeerFacts:
        """As admin.parts.FarmAccess."""
        own = self._parts.own
        here = own.ready and own.node_id == node_id
        database = self._place()[1]
        runs = (here and self.runs_database) or (
            database is not None and database.node_id == node_id
        )
        contact = self._parts.dialer.contact(node_id)
        if here or contact is None:
            return PeerFacts(here=here, reached=None, age_s=None, reason=None, runs_database=runs)
        return PeerFacts(
            here=False,
            reached=contact.problem is None,
            age_s=round(self._clock.monotonic_s() - contact.at_s, 1),
            reason=contact.problem or contact.warning,
            runs_database=runs,
        )


def own_node_address(own: OwnIdentity, host: str, port: int) -> NodeAddress:
    """Where others dial this node, and its key; raises Unavailable before it has one."""
    identity = own.files.identity()
    if identity is None:
        raise Unavailable("this node has not joined its farm yet")
    return NodeAddress(own.node_id, host, port, identity.key_digest)


def _whole_seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
