"""The table of all fuzz targets: every decoder of bytes from outside the node."""

from typing import Final

from fuzz import (
    browsers,
    clients,
    engines,
    guests,
    host_facts,
    images,
    members,
    node_files,
    peers,
    rest,
    servers,
)
from fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    **browsers.TARGETS,
    **clients.TARGETS,
    **servers.TARGETS,
    **guests.TARGETS,
    **engines.TARGETS,
    **members.TARGETS,
    **peers.TARGETS,
    **images.TARGETS,
    **node_files.TARGETS,
    **rest.TARGETS,
    **host_facts.TARGETS,
}
