"""How much room a file system has."""

import os
from pathlib import Path


def free_mib(folder: Path) -> int:
    """MiB that an ordinary program could still write to the file system of `folder`."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize // (1024 * 1024)
