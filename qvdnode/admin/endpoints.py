"""The table of all endpoints, from the rows of each resource."""

from itertools import chain
from typing import Final

from qvdnode.admin.endpoint import AnyEndpoint
from qvdnode.admin.probes import PROBES
from qvdnode.admin.routes import (
    audit,
    browser_logins,
    events,
    figures,
    flavours,
    homes,
    image_history,
    image_import,
    image_refs,
    image_rollouts,
    images,
    my_desktops,
    my_files,
    my_logins,
    node_drain,
    node_key,
    node_memory,
    nodes,
    search,
    sessions,
    tenants,
    tokens,
    users,
    vm_actions,
    vm_assistance,
    vm_placement,
    vms,
)

API_PREFIX: Final = "/api/v1"

ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = tuple(
    chain(
        tenants.ENDPOINTS,
        users.ENDPOINTS,
        homes.ENDPOINTS,
        flavours.ENDPOINTS,
        images.ENDPOINTS,
        image_import.ENDPOINTS,
        image_refs.ENDPOINTS,
        image_history.ENDPOINTS,
        image_rollouts.ENDPOINTS,
        vms.ENDPOINTS,
        vm_actions.ENDPOINTS,
        vm_placement.ENDPOINTS,
        sessions.ENDPOINTS,
        nodes.ENDPOINTS,
        node_drain.ENDPOINTS,
        node_key.ENDPOINTS,
        node_memory.ENDPOINTS,
        audit.ENDPOINTS,
        tokens.ENDPOINTS,
        browser_logins.ENDPOINTS,
        events.ENDPOINTS,
        figures.ENDPOINTS,
        search.ENDPOINTS,
    )
)
"""All endpoints for administrators and their programs, under /api/v1."""
PAGE_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    *browser_logins.PAGE_ENDPOINTS,
    *vm_assistance.PAGE_ENDPOINTS,
)
"""Endpoints under /api/v1 that only the administration page uses."""
MY_PREFIX: Final = "/my"
MY_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    *my_logins.MY_ENDPOINTS,
    *my_desktops.MY_ENDPOINTS,
    *my_files.MY_ENDPOINTS,
    *homes.MY_ENDPOINTS,
)
"""Endpoints of the users' page, under /my."""

SERVED: Final[tuple[tuple[str, AnyEndpoint], ...]] = (
    *((API_PREFIX, endpoint) for endpoint in ENDPOINTS),
    *((API_PREFIX, endpoint) for endpoint in PAGE_ENDPOINTS),
    *((MY_PREFIX, endpoint) for endpoint in MY_ENDPOINTS),
    *(("", probe) for probe in PROBES),
)
"""Every endpoint, with the prefix of its path."""
