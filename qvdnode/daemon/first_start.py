"""`qvdnode init`: makes what a node needs before its first start, and can be repeated."""

from dataclasses import dataclass
from pathlib import Path

from qvdnode.auth.operators import Operators
from qvdnode.daemon.config import Config
from qvdnode.daemon.first_token import ensure_working_token
from qvdnode.daemon.opening import open_database, open_identity, prepare
from qvdnode.daemon.peers import farm_files
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.farm import Farm
from qvdnode.db.migrate import migrate
from qvdnode.db.nodes import Nodes
from qvdnode.peer.enrolment import Enrolment
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Initialised:
    """What there is now."""

    fingerprint: str
    token_file: Path
    schema_version: int


async def initialise(config: Config, clock: Clock) -> Initialised:
    """State folder, certificate, database, the farm's authority and first admin token.

    Raises FarmError.
    """
    state_dir = config.node.state_dir
    await prepare(config)
    with StateLock(state_dir):
        identity = open_identity(config, clock)
        async with open_database(config, clock) as database:
            version = await migrate(database)
            own = OwnIdentity(farm_files(config))
            farm, nodes = Farm(database), Nodes(database)
            await Enrolment(own, farm, nodes, clock, name=config.node.name).ensure_farm()
            operators = Operators(ApiTokens(database), clock, config.auth)
            token_file = await ensure_working_token(operators, state_dir)
    return Initialised(identity.fingerprint(), token_file, version)
