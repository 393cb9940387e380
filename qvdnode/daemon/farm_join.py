"""`qvdnode join`: makes this host a node of a farm that has invited it. Can be repeated."""

from dataclasses import dataclass

from qvdnode.cluster.settings import ClusterSettings
from qvdnode.daemon.config import Config
from qvdnode.daemon.opening import open_database, open_identity, prepare
from qvdnode.daemon.peers import WILDCARDS, farm_files
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.dsn import host_and_port, single_host_dsns
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.migrate import migrate, steps
from qvdnode.model.errors import BadConfig, Conflict, Unavailable
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.peer.farm_files import FarmFiles
from qvdnode.peer.invitations import Token
from qvdnode.peer.join_farm import NewNode, join_farm
from qvdnode.runtime.clock import Clock
from qvdnode.tls.farm_authority import authority_pin
from qvdnode.wire.peer_hello import JoinAnswer


@dataclass(frozen=True, slots=True)
class NewMember:
    """What this host is now."""

    farm_id: FarmId
    node_id: NodeId
    fingerprint: str
    schema_version: int
    database_node: NodeId | None
    """The node that runs the farm's database, if one does."""


async def join(config: Config, place: tuple[str, int], token: Token, clock: Clock) -> NewMember:
    """Join, and see that the farm's database can be reached; raises FarmError."""
    await prepare(config)
    with StateLock(config.node.state_dir):
        files = farm_files(config)
        _refuse_other_lives(config, files, token, clock)
        identity = open_identity(config, clock)
        peer = config.peer
        new = NewNode(config.node.name, peer.advertise or _bound(config), peer.port, len(steps()))
        joined = await join_farm(place, token, new, files, clock)
        require_same_lease(config.cluster, joined.answer)
        async with open_database(config, clock) as database:
            if not database.available:
                raise Unavailable(
                    "This host has joined the farm, but cannot reach its database"
                    f" {_where(joined.answer)}; open the way to it, and repeat."
                )
            version = await migrate(database)
    through = joined.member.database_node
    return NewMember(
        joined.member.farm_id,
        NodeId(joined.answer.node),
        identity.fingerprint(),
        version,
        None if through is None else through.node_id,
    )


def _where(answer: JoinAnswer) -> str:
    if not answer.dsn:
        return f"through the node at {answer.database_address} port {answer.database_port}"
    return f"at {', '.join(host_and_port(dsn) for dsn in single_host_dsns(answer.dsn))}"


def _bound(config: Config) -> str:
    address = config.peer.address
    return "" if address in WILDCARDS else address


def _refuse_other_lives(config: Config, files: FarmFiles, token: Token, clock: Clock) -> None:
    """Raise Conflict for a host that is, or began, a farm of its own."""
    member = files.member()
    if member is not None and authority_pin(member.authority.encode()) == token.pin:
        return  # joined already: repeating is fine
    has_database = EmbeddedPostgres(config.database, clock).exists()
    if member is not None or has_database:
        raise Conflict(
            f"This host is a node of another farm, or began one of its own, in"
            f" {config.node.state_dir}. To join this one, save what it holds (`qvdnode backup`) and"
            " start from an empty state folder: `qvdnode purge` removes this one."
        )


def require_same_lease(settings: ClusterSettings, answer: JoinAnswer) -> None:
    """Raise BadConfig unless this host keeps its lease as the farm does."""
    for name, told_ms in (
        ("lease_ttl_s", answer.lease_ttl_ms),
        ("lease_renew_s", answer.lease_renew_ms),
        ("lease_margin_s", answer.lease_margin_ms),
    ):
        if told_ms and round(getattr(settings, name) * 1000) != told_ms:
            raise BadConfig(
                f"All nodes of a farm have the same [cluster] {name}; set it to"
                f" {told_ms / 1000:g} here, and repeat.",
                key=f"cluster.{name}",
            )
