"""An account that has logged in from some network. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FamiliarLogin:
    """Who it was, and how long ago."""

    login: str
    tenant: str
    age_s: float
    """Since the last login from there at the latest; up to a day too small."""
