"""`qvdnode serve`: the node program."""

# tested-by: tests/e2e/test_desktop.py

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli.examples import examples
from qvdnode.daemon.load import load
from qvdnode.daemon.serve import run
from qvdnode.telemetry import logs

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file; docs/config.md lists every key.")
]

EXAMPLES: Final = examples(
    "qvdnode serve --config /etc/qvdnode/qvdnode.toml",
    "QVDNODE_LOG__LEVEL=debug qvdnode serve --config ./node.toml",
)


def serve_command(config: ConfigFile = None) -> None:
    """Run a node until SIGTERM or Ctrl-C; its desktops run on unless node.stop_guests is set."""
    settings = load(config, os.environ)
    logs.setup(settings.log.format, settings.log.level)
    run(settings)
