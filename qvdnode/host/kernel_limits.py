"""Raises kernel limits that the host and all guests share while an instance runs.

What the kernel can bound for each guest is bounded there (docs/decisions). The rest is one number
for all: raised so far that a guest meets the limit of its own memory first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from qvdnode.host.shared_sysctls import SharedSysctls

RECORDS: Final = Path("/run/qvdnode/kernel-limits")
FAILING: Final = "limits of the kernel cannot be raised"
NEIGHBOURS: Final = {"gc_thresh1": 16_384, "gc_thresh2": 49_152, "gc_thresh3": 65_536}
WANTED: Final[Mapping[str, int]] = {
    # Open files: each is charged to the memory of its guest. systemd sets the same.
    "fs/file-max": 2**63 - 1,
    # Process ids, of which each guest has as many as its flavour says. systemd sets the same.
    "kernel/pid_max": 4_194_304,
    # Pseudo-terminals, charged likewise; the kernel takes no more. 256 a guest, and what its users
    # mount in namespaces of their own.
    "kernel/pty/max": 1_048_576,
    # Neighbours. Each guest is one for the host and has one, its gateway.
    **{f"net/ipv4/neigh/default/{name}": value for name, value in NEIGHBOURS.items()},
    **{f"net/ipv6/neigh/default/{name}": value for name, value in NEIGHBOURS.items()},
}
"""At least so much, by name below /proc/sys."""


def kernel_limits() -> SharedSysctls:
    """The limits of this host."""
    return SharedSysctls(WANTED, RECORDS, FAILING)
