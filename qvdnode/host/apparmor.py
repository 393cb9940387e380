"""Reads whether AppArmor can confine guests on this host."""

from enum import StrEnum
from pathlib import Path
from typing import Final

SECURITY: Final = Path("/sys/kernel/security/apparmor")
GUEST_PROFILE: Final = "lxc-container-default-cgns"
"""LXC's own profile for containers, which Debian's lxc package brings and apparmor loads."""


class AppArmor(StrEnum):
    """How far AppArmor can confine guests here."""

    ABSENT = "absent"
    """The kernel has none, or it is switched off."""
    WITHOUT_PROFILE = "without_profile"
    """The kernel has it, but the profile for guests is not loaded."""
    READY = "ready"
    UNKNOWN = "unknown"
    """Only root sees which profiles are loaded."""


def probe(security: Path = SECURITY) -> AppArmor:
    """Read the state."""
    if not security.is_dir():
        return AppArmor.ABSENT
    try:
        lines = (security / "profiles").read_text(encoding="utf-8", errors="replace").splitlines()
    except PermissionError:
        return AppArmor.UNKNOWN
    except OSError:
        return AppArmor.WITHOUT_PROFILE
    loaded = {line.rpartition(" (")[0] for line in lines}
    return AppArmor.READY if GUEST_PROFILE in loaded else AppArmor.WITHOUT_PROFILE
