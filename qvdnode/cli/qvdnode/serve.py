"""`qvdnode serve`: the node program."""

import logging
import os
from typing import Final

from qvdnode.cli.config_file import ConfigFile, chosen, told
from qvdnode.cli.examples import examples
from qvdnode.daemon.load import load
from qvdnode.daemon.serve import run
from qvdnode.telemetry import logs

log = logging.getLogger(__name__)

EXAMPLES: Final = examples(
    "qvdnode serve --config /etc/qvdnode/qvdnode.toml",
    "QVDNODE_LOG__LEVEL=debug qvdnode serve --config ./node.toml",
)


def serve_command(config: ConfigFile = None) -> None:
    """Run a node until SIGTERM or Ctrl-C; its desktops run on unless node.stop_guests is set."""
    file = chosen(config)
    settings = load(file, os.environ)
    logs.setup(settings.log.format, settings.log.level)
    log.info("configured", extra={"config": told(file)})
    run(settings)
