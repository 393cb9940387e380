"""Decides whether a server is trusted: by a certificate authority or by a pinned certificate.

The system's authorities are those that OpenSSL finds, SSL_CERT_FILE and SSL_CERT_DIR included.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.model.errors import Invalid


@dataclass(frozen=True, slots=True)
class Trust:
    """What a certificate must be: either will do where both are given; without any, all will."""

    pin: str | None = None
    """The fingerprint it must have."""
    authorities: ssl.SSLContext | None = None
    """What checks its chain, its names and its time."""


ANY: Final = Trust()
"""Accepts any server."""


def authorities(ca: Path | None = None) -> ssl.SSLContext:
    """A client's TLS that trusts the system's authorities, and those in a PEM file.

    What is in the file is trusted as it is: a root, an authority below one, or a server's own
    certificate. Raises Invalid for a file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    if ca is None:
        return context
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise Invalid(f"{ca} holds no certificate in PEM format.", field="ca") from error
    except OSError as error:
        raise Invalid(f"{ca} cannot be read: {error.strerror}.", field="ca") from error
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def any_certificate() -> ssl.SSLContext:
    """A TLS context that accepts any certificate; the caller checks the pin afterwards."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
