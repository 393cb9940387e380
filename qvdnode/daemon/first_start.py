"""`qvdnode init`: makes what a node needs before its first start, and can be repeated."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.auth.browser_sessions import login_url
from qvdnode.auth.operators import Operators
from qvdnode.daemon.browser_logins import browser_logins, browser_sessions
from qvdnode.daemon.config import Config
from qvdnode.daemon.first_token import ensure_working_token
from qvdnode.daemon.opening import open_database, open_identity, prepare
from qvdnode.daemon.peers import farm_files
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.farm import Farm
from qvdnode.db.migrate import migrate
from qvdnode.db.nodes import Nodes
from qvdnode.db.pool import Database
from qvdnode.host.own_address import own_address
from qvdnode.peer.enrolment import Enrolment
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.runtime.clock import Clock

EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})
"""Addresses to listen on that stand for all of the host's."""


@dataclass(frozen=True, slots=True)
class Initialised:
    """What there is now."""

    fingerprint: str
    token_file: Path
    schema_version: int
    login_url: str | None
    """A link that opens the administration page once; None where the port is not known before."""


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
            login_url = await _login_url(config, operators, token_file, database, clock)
    return Initialised(identity.fingerprint(), token_file, version, login_url)


async def _login_url(
    config: Config, operators: Operators, token_file: Path, database: Database, clock: Clock
) -> str | None:
    if not config.admin.port:
        return None
    operator = await operators.operator(_token(token_file))
    logins = browser_logins(config, browser_sessions(config, database), clock)
    key, _ = await logins.make_link(operator)
    return login_url(f"{_host(config.admin.address)}:{config.admin.port}", key)


def _token(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()


def _host(address: str) -> str:
    """The host in the page's address: where the port listens, or this host's own address."""
    if address in EVERYWHERE:
        return own_address()
    return f"[{address}]" if ":" in address else address
