"""Opens what a node keeps on disk: state folder, certificate, database.

`serve`, `init`, `backup` and `restore` share it, so all of them refuse the same faults and leave
nothing open.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from qvdnode.daemon import state_folder
from qvdnode.daemon.config import Config
from qvdnode.daemon.peers import database_address, database_tunnel, farm_files
from qvdnode.daemon.settings import TlsSettings
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.pool import Database
from qvdnode.host.trusted_path import PathUse, require
from qvdnode.model.errors import BadConfig, HostFailed
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.tls.host_names import host_names
from qvdnode.tls.identity import NodeIdentity


async def prepare(config: Config) -> None:
    """Make the state folder; raises HostFailed, or BadConfig for an unusable certificate."""
    await asyncio.to_thread(state_folder.prepare, config.node.state_dir)
    await asyncio.to_thread(require_certificate, config.tls)


def require_certificate(settings: TlsSettings) -> None:
    """Check a certificate and key of the administrator's own.

    Raises BadConfig for a file that is missing, or that another user of the host controls.
    """
    for key, path in (("tls.certificate", settings.certificate), ("tls.key", settings.key)):
        if path is None:
            continue
        try:
            require(path, PathUse.FILE)
        except OSError as error:
            raise BadConfig(f"{path} cannot be read: {error.strerror}", key=key) from error
        except HostFailed as error:
            raise BadConfig(f"{path} is not used: {error}", key=key) from error


def open_identity(config: Config, clock: Clock) -> NodeIdentity:
    """The node's certificate and key, made if need be; raises FarmError."""
    identity = NodeIdentity(
        config.node.state_dir / state_folder.IDENTITY,
        clock,
        certificate=config.tls.certificate,
        key=config.tls.key,
    )
    identity.ensure(*host_names(config.tls.names))
    return identity


@asynccontextmanager
async def open_database(
    config: Config,
    clock: Clock,
    tasks: Supervisor | None = None,
    *,
    visiting: bool = False,
    may_restart: bool = True,
) -> AsyncIterator[Database]:
    """The farm's database, or the node's own, whose server is started if it does not run.

    A node that has joined a farm reaches the database as it was told then, perhaps through another
    node, unless its configuration names one.

    With `tasks`, server and connections are kept alive there. The server is ended afterwards,
    unless it ran already and `visiting` is set. `may_restart` is as for
    EmbeddedPostgres.start. Raises FarmError.
    """
    async with AsyncExitStack() as undone:
        dsn, through = database_address(config, farm_files(config).member())
        if through is not None:
            dsn = await undone.enter_async_context(database_tunnel(config, clock, through, tasks))
        elif not dsn:
            server = EmbeddedPostgres(config.database, clock)
            dsn = await server.start(may_restart=may_restart)
            if not (visiting and server.adopted):
                undone.push_async_callback(server.stop)
            if tasks is not None:
                undone.callback(tasks.essential("postgres", server.run()).cancel)
        rng = random.Random(secrets.randbits(64))
        database = await Database.open(dsn, config.database, clock, rng)
        undone.push_async_callback(database.close)
        if tasks is not None:
            undone.callback(tasks.essential("database", database.run()).cancel)
        yield database
