"""`qvdnode init`: prepares a host before its first `serve`."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli.config_file import DEFAULT
from qvdnode.cli.examples import examples
from qvdnode.daemon.first_start import initialise
from qvdnode.daemon.load import load
from qvdnode.host.trusted_path import PathUse, trusted
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.safe_files import new_file

EXAMPLES: Final = examples("qvdnode init", "qvdnode init --config ./node.toml")
TEMPLATE: Final = """\
# Configuration of this node. Every key, with its default, is described in docs/config.md.
# A key that does not exist is refused by its name when the node starts.

[node]
# name = "desk1"
# state_dir = "/var/lib/qvdnode"

[clients]
# port = 8443

[admin]
# port = 8444

[peer]
# The port for other nodes of a farm; `qvd node invite` and `qvdnode join` make one.
# port = 8445

[database]
# One node needs nothing here: it runs a PostgreSQL of its own. A farm names its servers:
# dsn = "postgresql://qvdnode:SECRET@db1:5432,db2:5432/qvdnode"
"""


def init_command(
    config: Annotated[
        Path, typer.Option("--config", help="Written with comments if it is not there.")
    ] = DEFAULT,
) -> None:
    """Make configuration, state folder, certificate, database and the first admin token."""
    ensure_config(config)
    made = asyncio.run(initialise(load(config, os.environ), SystemClock()))
    typer.echo(f"certificate    {made.fingerprint}")
    typer.echo(f"database       schema version {made.schema_version}")
    typer.echo(f"admin token    {made.token_file.read_text().strip()}")
    typer.echo(f"               kept in {made.token_file}, for root alone")
    typer.echo(f"next           qvdnode serve --config {config}")
    if made.login_url is not None:
        typer.echo(f"page           {made.login_url}")
        typer.echo("               opens the administration page once the node serves, logged in;")
        typer.echo(
            "               it works once and for a short time: `qvd web link` prints another"
        )


def ensure_config(config: Path) -> None:
    """Write a configuration of comments if there is none, and tell; raises HostFailed."""
    try:
        if not config.exists():
            _write_for_root_alone(config)
            typer.echo(f"configuration  {config} (new)")
    except OSError as error:
        raise HostFailed(f"{config} cannot be written: {error.strerror}") from error


def _write_for_root_alone(config: Path) -> None:
    # The database's password may be put there later.
    with (
        trusted(config.parent, PathUse.SHARED_FOLDER, make_mode=0o755) as folder,
        new_file(config, folder=folder) as file,
    ):
        file.write(TEMPLATE.encode())
