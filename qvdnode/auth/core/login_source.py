"""Identifies a login for the throttles: its account and its networks. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Final

from qvdnode.model.source_network import SourceNetwork

DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class LoginSource:
    """One account together with the networks that a login comes from."""

    account: bytes
    """Digest of the account's name, so that long names take no memory."""
    networks: tuple[SourceNetwork, ...]
    """The networks of the source, the narrowest first."""


def account_name(login: str, tenant: str) -> str:
    """Return an account's full name, for the log and for digests."""
    return f"{login}@{tenant}"


def account_digest(account: str, secret: bytes) -> bytes:
    """Return the digest that identifies an account in the tables of one process."""
    name = account.encode(errors="surrogatepass")
    return hashlib.blake2b(name, key=secret, digest_size=DIGEST_BYTES).digest()
