"""`qvdnode init`: makes what a node needs before its first start, and can be repeated."""

import asyncio
import random
import secrets
from dataclasses import dataclass
from pathlib import Path

from qvdnode.auth.operators import Operators
from qvdnode.daemon import state_folder, trusted_files
from qvdnode.daemon.config import Config
from qvdnode.daemon.first_token import ensure_working_token
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.migrate import migrate
from qvdnode.db.pool import Database
from qvdnode.runtime.clock import Clock
from qvdnode.tls.host_names import host_names
from qvdnode.tls.identity import NodeIdentity


@dataclass(frozen=True, slots=True)
class Initialised:
    """What there is now."""

    fingerprint: str
    token_file: Path
    schema_version: int


async def initialise(config: Config, clock: Clock) -> Initialised:
    """State folder, certificate, database and first admin token; raises FarmError."""
    state_dir = config.node.state_dir
    await asyncio.to_thread(state_folder.prepare, state_dir)
    await asyncio.to_thread(trusted_files.require_certificate, config.tls)
    with StateLock(state_dir):
        identity = NodeIdentity(
            state_dir / "tls", clock, certificate=config.tls.certificate, key=config.tls.key
        )
        identity.ensure(*host_names(config.tls.names))
        embedded = None if config.database.dsn else EmbeddedPostgres(config.database, clock)
        dsn = config.database.dsn if embedded is None else await embedded.start()
        try:
            rng = random.Random(secrets.randbits(64))
            database = await Database.open(dsn, config.database, clock, rng)
            try:
                version = await migrate(database)
                operators = Operators(ApiTokens(database), clock, config.auth)
                token_file = await ensure_working_token(operators, state_dir)
            finally:
                await database.close()
        finally:
            if embedded is not None:
                await embedded.stop()
    return Initialised(identity.fingerprint(), token_file, version)
