"""Identifies the boot of the host; pids and mounts of an earlier boot are invalid."""

from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The kernel's random id of this boot."""
    return BOOT_ID.read_text(encoding="ascii").strip()
