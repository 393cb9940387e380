"""Descriptors that a program was started with: kept from its own children.

Python marks what it opens itself; what a shell or a supervisor left open is not marked, and would
be inherited by containers and database servers that outlive this process.
"""

import os
from pathlib import Path
from typing import Final

FIRST_OWN: Final = 3
"""After standard input, output and error."""


def close_to_children() -> None:
    """Mark every open descriptor but the standard ones as closed on exec."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        descriptor = int(entry.name)
        if descriptor < FIRST_OWN:
            continue
        try:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - the call takes it so
        except OSError:  # it was the one that listed the folder
            continue
