"""The limit of open files of a bench that has many clients."""

import resource
import sys
from typing import Final

PER_CLIENT: Final = 6
"""Two ends of the relay to nxproxy, its listener, the connection to the node, two pidfds."""
OWN: Final = 256


def require_for(clients: int) -> None:
    """Raise the limit as far as it goes; ends the program if that is not enough."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = OWN + PER_CLIENT * clients
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(f"{clients} clients need {needed} open files, and {hard} are allowed: ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(needed, min(hard, 20_000)), hard))
