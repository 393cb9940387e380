"""Forbids core dumps of this process and of all that it starts: guests, database, tools.

A dump of the node holds passwords and keys. One of a guest's programs would be taken by the handler
that `kernel.core_pattern` names, which runs on the host as root for whatever a guest lets crash.
"""

import resource
from typing import Final

from qvdnode.host.linux_calls import keep_memory_from_others

LIMIT_BYTES: Final = 1
"""Too small for a file, and the one value that keeps the kernel from running a handler, which it
does at 0 (core(5), "Piping core dumps to a program")."""


def forbid() -> None:
    """For good: neither this process nor a child can raise the limit again without root's rights.

    Root in a guest has them only in its own user namespace, which does not do.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (LIMIT_BYTES, LIMIT_BYTES))
    keep_memory_from_others()
