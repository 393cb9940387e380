"""Invitations of new nodes: what `qvd node invite` prints, and how the new host reads it.

A token has two parts: a secret that is good once, and the pin of the farm's authority, so that the
new host trusts this farm alone. It is sent only to a node that has proved to be of that farm.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from qvdnode.model.errors import Invalid

SCHEME: Final = "qvdnode"
TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})")
DEFAULT_PORT: Final = 8445


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a host needs to join."""

    url: str
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """The two parts of a token."""

    secret: str
    pin: str
    """Pin of the farm's authority (tls.farm_authority.authority_pin)."""

    def __str__(self) -> str:
        """As it is printed."""
        return f"{self.secret}.{self.pin}"


def parse_token(text: str) -> Token:
    """A token as it was printed; raises Invalid."""
    match = TOKEN.fullmatch(text.strip())
    if match is None:
        raise Invalid(
            "The token is not as `qvd node invite` prints it: two times 43 characters with a dot"
            " between. Copy the whole line.",
            field="token",
        )
    return Token(match.group(1), match.group(2))


def join_url(host: str, port: int) -> str:
    """Where a host joins."""
    return f"{SCHEME}://{f'[{host}]' if ':' in host else host}:{port}"


def parse_url(text: str) -> tuple[str, int]:
    """Host and port of a URL to join at; raises Invalid."""
    try:
        parts = urlsplit(text if "://" in text else f"{SCHEME}://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.scheme != SCHEME or not host or parts.path.strip("/") or parts.query or "@" in text:
        raise Invalid(
            f"{text} is not an address to join at: give it as `qvd node invite` printed it, such as"
            f" {join_url('192.0.2.1', DEFAULT_PORT)}.",
            field="url",
        )
    return host, port or DEFAULT_PORT
