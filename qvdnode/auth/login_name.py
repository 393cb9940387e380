"""Splits a login into user name and tenant. Pure."""

from dataclasses import dataclass
from typing import Final

SEPARATORS: Final = "@#"


@dataclass(frozen=True, slots=True)
class LoginName:
    """User name and tenant in lower case, since clients send them so."""

    login: str
    tenant: str


def parse_login(text: str, default_tenant: str) -> LoginName:
    """`alice@acme` and `alice#acme`: the last separator counts; without one, the default tenant."""
    lowered = text.strip().lower()
    cut = max(lowered.rfind(separator) for separator in SEPARATORS)
    if cut < 0:
        return LoginName(lowered, default_tenant)
    return LoginName(lowered[:cut], lowered[cut + 1 :])
