"""What an administrator may do, by the role of their API token."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """Each role may do what those before it may."""

    VIEWER = "viewer"
    """Sees everything, and changes nothing."""
    HELPDESK = "helpdesk"
    """Starts, stops, disconnects and blocks desktops as well."""
    ADMIN = "admin"
    """Does everything."""

    def covers(self, wanted: "Role") -> bool:
        """Whether this role may do what that one may."""
        return _RANK[self] >= _RANK[wanted]


_RANK: Final = {role: rank for rank, role in enumerate(Role)}
