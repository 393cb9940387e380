"""Opens what a node keeps on disk: state folder, certificate, database.

`serve`, `init`, `backup` and `restore` share it, so all of them refuse the same faults and leave
nothing open.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qvdnode.daemon import state_folder
from qvdnode.daemon.config import Config
from qvdnode.daemon.database_way import open_way
from qvdnode.daemon.settings import TlsSettings
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
    node, unless its configuration names one; where the farm has moved it is followed.

    With `tasks`, server and connections are kept alive there. The server is ended afterwards,
    unless it ran already and `visiting` is set. `may_restart` is as for
    EmbeddedPostgres.start. Raises FarmError.
    """
    way = open_way(config, clock, tasks, visiting=visiting, may_restart=may_restart)
    async with way as (_, database):
        yield database
