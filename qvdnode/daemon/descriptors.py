"""Counts the descriptors that a node needs, and fits a configuration into what there is."""

import logging
from dataclasses import dataclass, replace
from typing import Final

from qvdnode.daemon.config import Config
from qvdnode.host.core import descriptor_budget
from qvdnode.image.importer import AT_ONCE as IMPORTS_AT_ONCE
from qvdnode.model.errors import HostFailed
from qvdnode.tls.acceptor import ACCEPTED_AT_ONCE

log = logging.getLogger(__name__)

OWN: Final = 96
"""The event loop, listeners, the log, locks, sockets to the kernel, and files that are read now and
then; libraries that open one for each thread among them."""
PER_START: Final = 24
"""Pipes and pidfds of the programs that bring a desktop up or end it, loop devices, mounts."""
PER_REDRAW: Final = 8
PER_IMPORT: Final = 12
PER_GUEST: Final = 4
"""A running guest's pidfd, its display and files that are read while it lives."""
PER_CLIENT: Final = 2
"""A client's own connection and the one to the display."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Descriptors that a configuration asks for."""

    fixed: int
    wishes: dict[str, int]

    @property
    def all(self) -> int:
        """The number with which everything works as configured."""
        return descriptor_budget.needed(self.fixed, self.wishes)

    @property
    def least(self) -> int:
        """The number below which the node does not start."""
        return descriptor_budget.least(self.fixed, self.wishes)


def needs(config: Config) -> Needs:
    """What this configuration asks for."""
    return Needs(
        fixed=OWN
        + config.database.connections_max
        + config.vm.starts_at_once * PER_START
        + config.vm.redraws_at_once * PER_REDRAW
        + IMPORTS_AT_ONCE * PER_IMPORT
        + 2 * ACCEPTED_AT_ONCE,
        wishes={
            "guests": config.vm.id_slots * PER_GUEST,
            "clients": config.clients.connections_max * PER_CLIENT,
            "admin": config.admin.connections_max,
        },
    )


def fitted(config: Config, limit: int) -> Config:
    """The configuration with ports that hold what so many open files allow; raises HostFailed."""
    wanted = needs(config)
    if limit < wanted.least:
        raise HostFailed(
            f"This process may open {limit} files, and the node needs {wanted.least} at least and"
            f" {wanted.all} for this configuration. Raise the limit (LimitNOFILE, ulimit -n)."
        )
    shares = descriptor_budget.divide(limit, wanted.fixed, wanted.wishes)
    clients, admin = config.clients, config.admin
    source, total, most = descriptor_budget.connections(
        clients.unauthenticated_per_source,
        clients.unauthenticated_total,
        clients.connections_max,
        shares["clients"] // PER_CLIENT,
    )
    clients = replace(
        clients,
        unauthenticated_per_source=source,
        unauthenticated_total=total,
        connections_max=most,
    )
    source, total, most = descriptor_budget.connections(
        admin.unauthenticated_per_source,
        admin.unauthenticated_total,
        admin.connections_max,
        shares["admin"],
    )
    admin = replace(
        admin, unauthenticated_per_source=source, unauthenticated_total=total, connections_max=most
    )
    if limit < wanted.all:
        log.warning(
            "descriptors_scarce",
            extra={
                "limit": limit,
                "needed": wanted.all,
                "client_connections": clients.connections_max,
                "admin_connections": admin.connections_max,
                "fix": f"Raise the limit of open files to {wanted.all} (LimitNOFILE, ulimit -n).",
            },
        )
    return replace(config, clients=clients, admin=admin)
