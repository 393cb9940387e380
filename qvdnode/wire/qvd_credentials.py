"""The Authorization header of QVD clients. Pure.

`Basic base64(login:password)`: the login ends at the first colon, the tenant is part of it.
`Bearer base64(token)`: the GUI gets the token already encoded, the command line encodes it itself.
"""

import base64
import binascii
from dataclasses import dataclass, field

from qvdnode.model.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class BasicLogin:
    """A login with its tenant, and a password (which may be empty, and may hold a code)."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token that stands for a login."""

    token: str = field(repr=False)


def parse_authorization(header: str) -> BasicLogin | BearerToken:
    """What the header says; raises Unauthenticated when it is missing or makes no sense."""
    scheme, _, encoded = header.partition(" ")
    match scheme.lower():
        case "basic":
            login, colon, password = _decode(encoded).partition(":")
            if not colon or not login:
                raise Unauthenticated("The login is malformed: it is user:password in base64.")
            return BasicLogin(login, password)
        case "bearer":
            token = _decode(encoded).strip()
            if not token:
                raise Unauthenticated("The token is empty.")
            return BearerToken(token)
        case _:
            raise Unauthenticated("Log in with your user name and password.")


def _decode(encoded: str) -> str:
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated("The login is not base64.") from error
    try:
        text = decoded.decode("utf-8")
    except UnicodeDecodeError:  # clients on old Windows send their code page
        text = decoded.decode("latin-1")
    if "\0" in text:
        raise Unauthenticated("The login holds a zero byte.")
    return text
