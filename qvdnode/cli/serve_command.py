"""`qvdnode serve`: the node program."""

# tested-by: tests/e2e/test_desktop.py

import os
from pathlib import Path
from typing import Annotated

import typer

from qvdnode.cli.exit_codes import exit_code_of
from qvdnode.daemon.load import load
from qvdnode.daemon.serve import run
from qvdnode.model.errors import FarmError
from qvdnode.telemetry import logs

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file; docs/config.md lists every key.")
]


def serve_command(config: ConfigFile = None) -> None:
    """Run a node until SIGTERM or Ctrl-C; its desktops run on unless node.stop_guests is set."""
    try:
        settings = load(config, os.environ)
        logs.setup(settings.log.format, settings.log.level)
        run(settings)
    except FarmError as error:
        typer.echo(f"qvdnode: {error}", err=True)
        raise typer.Exit(exit_code_of(error)) from error
