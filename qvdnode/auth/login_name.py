"""Splits a login into user name and tenant. Pure.

`ana@corp.example` may be ana of the tenant corp.example, or a login with a domain in the default
tenant. If both accounts exist, it means the first.
"""

from dataclasses import dataclass
from typing import Final

SEPARATORS: Final = "@#"


@dataclass(frozen=True, slots=True)
class LoginName:
    """User name and tenant in lower case, since clients send them so."""

    login: str
    tenant: str
    whole: str = ""
    """The whole text as a login of the default tenant; empty if it cannot be one."""


def parse_login(text: str, default_tenant: str) -> LoginName:
    """`alice@acme` and `alice#acme`: the last separator counts; without one, the default tenant."""
    lowered = text.strip().lower()
    cut = max(lowered.rfind(separator) for separator in SEPARATORS)
    if cut < 0:
        return LoginName(lowered, default_tenant)
    whole = lowered if lowered[cut] == "@" else ""
    return LoginName(lowered[:cut], lowered[cut + 1 :], whole)
