"""`qvdnode join`: makes a fresh host a node of a farm."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli.config_file import DEFAULT
from qvdnode.cli.examples import examples
from qvdnode.cli.qvdnode.init import ensure_config
from qvdnode.daemon.farm_join import join
from qvdnode.daemon.load import load
from qvdnode.peer.invitations import parse_token, parse_url
from qvdnode.runtime.clock import SystemClock

EXAMPLES: Final = examples("qvdnode join qvdnode://192.0.2.1:8445 --token TOKEN")


def join_command(
    url: Annotated[str, typer.Argument(help="As `qvd node invite` printed it.")],
    token: Annotated[str, typer.Option("--token", help="As `qvd node invite` printed it.")],
    config: Annotated[
        Path, typer.Option("--config", help="Written with comments if it is not there.")
    ] = DEFAULT,
) -> None:
    """Join a farm that has invited this host: certificate, way to the database, state folder.

    The host must not have served before. Can be repeated.
    """
    place, parsed = parse_url(url), parse_token(token)
    ensure_config(config)
    made = asyncio.run(join(load(config, os.environ), place, parsed, SystemClock()))
    typer.echo(f"farm           {made.farm_id}")
    typer.echo(f"node           {made.node_id}")
    typer.echo(f"certificate    {made.fingerprint}")
    typer.echo(f"database       schema version {made.schema_version}")
    if made.database_node is not None:
        typer.echo(
            f"               embedded in node {made.database_node}: without that node no desktop of"
            " the farm can start"
        )
    typer.echo(f"next           qvdnode serve --config {config}")
