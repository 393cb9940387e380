"""The table of all endpoints, from the rows of each resource."""

from itertools import chain
from typing import Final

from qvdnode.admin.endpoint import AnyEndpoint
from qvdnode.admin.routes import (
    audit,
    flavours,
    image_import,
    images,
    node_drain,
    node_memory,
    nodes,
    sessions,
    tenants,
    tokens,
    users,
    vm_actions,
    vm_placement,
    vms,
)

API_PREFIX: Final = "/api/v1"

ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = tuple(
    chain(
        tenants.ENDPOINTS,
        users.ENDPOINTS,
        flavours.ENDPOINTS,
        images.ENDPOINTS,
        image_import.ENDPOINTS,
        vms.ENDPOINTS,
        vm_actions.ENDPOINTS,
        vm_placement.ENDPOINTS,
        sessions.ENDPOINTS,
        nodes.ENDPOINTS,
        node_drain.ENDPOINTS,
        node_memory.ENDPOINTS,
        audit.ENDPOINTS,
        tokens.ENDPOINTS,
    )
)
"""All endpoints under /api/v1; probes.py has the others."""
