"""Makes and checks certificates in memory; identity.py handles files and TLS contexts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qvdnode.model.errors import BadConfig

LIFETIME: Final = timedelta(days=3650)
RENEW_BEFORE: Final = timedelta(days=60)
"""A self-made certificate with less than this left is replaced at the next start."""
BACKDATED: Final = timedelta(days=1)
"""The certificate must be valid already for a client whose clock is behind ours."""
MAX_COMMON_NAME: Final = 64
KEY_BITS: Final = 2048
PUBLIC_EXPONENT: Final = 65_537
KIND_OF_KEY: Final = "the certificate's kind of key is not supported; use RSA or P-256"

OwnKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""P-256 keys of older nodes are kept, since clients have pinned their certificates."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain whose key was checked to match."""

    chain: tuple[x509.Certificate, ...]
    """The leaf first."""

    @property
    def leaf(self) -> x509.Certificate:
        """The node's own certificate."""
        return self.chain[0]

    @property
    def expires_at(self) -> datetime:
        """The moment from which clients refuse it, in UTC."""
        return self.leaf.not_valid_after_utc


def new_key() -> OwnKey:
    """Make a new RSA 2048 key, which all families of clients accept.

    QVD's clients count bits and refuse a P-256 key as one of 256 (docs/decisions/0020).
    """
    return rsa.generate_private_key(PUBLIC_EXPONENT, KEY_BITS)


def key_pem(key: OwnKey) -> bytes:
    """The key as PKCS #8 without a passphrase; the file's mode protects it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def self_signed(
    key: OwnKey,
    names: Sequence[str],
    addresses: Sequence[IPv4Address | IPv6Address],
    now: datetime,
) -> bytes:
    """A server certificate in PEM for these names and addresses; the first name is its subject."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:MAX_COMMON_NAME])])
    public = key.public_key()
    alternatives = [
        *(x509.DNSName(name) for name in dict.fromkeys(names)),
        *(x509.IPAddress(address) for address in dict.fromkeys(addresses)),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def read_identity(certificate: bytes, key: bytes, now: datetime) -> Identity:
    """Read a pair that matches and is valid now; raises BadConfig."""
    identity = read_pair(certificate, key)
    if now >= identity.expires_at:
        raise BadConfig(
            f"the certificate expired on {identity.expires_at:%Y-%m-%d}; install a new one",
            key="tls.certificate",
        )
    if now < identity.leaf.not_valid_before_utc:
        raise BadConfig(
            f"the certificate is valid only from {identity.leaf.not_valid_before_utc:%Y-%m-%d};"
            " check the host's clock",
            key="tls.certificate",
        )
    return identity


def read_pair(certificate: bytes, key: bytes) -> Identity:
    """Read a pair that matches, whether or not it is valid now; raises BadConfig."""
    identity = _read_chain(certificate)
    if _public(_read_key(key).public_key()) != _public(identity.leaf.public_key()):
        raise BadConfig(
            "the key does not belong to the certificate; give the key that the certificate was"
            " asked for with, and put the node's certificate first in the chain",
            key="tls.key",
        )
    return identity


def _read_chain(certificate: bytes) -> Identity:
    try:
        identity = Identity(tuple(x509.load_pem_x509_certificates(certificate)))
        identity.leaf.public_key()
    except (ValueError, x509.InvalidVersion) as error:
        raise BadConfig(
            "the file holds no certificate in PEM format", key="tls.certificate"
        ) from error
    except UnsupportedAlgorithm as error:
        raise BadConfig(KIND_OF_KEY, key="tls.certificate") from error
    return identity


def _read_key(key: bytes) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(key, password=None)
    except TypeError as error:  # the library's word for "needs a passphrase"
        raise BadConfig(
            "the key is protected by a passphrase; store it without one (mode 0600)", key="tls.key"
        ) from error
    except ValueError as error:
        raise BadConfig("the file holds no private key in PEM format", key="tls.key") from error
    except UnsupportedAlgorithm as error:
        raise BadConfig(KIND_OF_KEY, key="tls.key") from error


def _public(key: object) -> bytes:
    encode = getattr(key, "public_bytes", None)
    if encode is None:
        raise BadConfig(KIND_OF_KEY, key="tls.certificate")
    encoded: bytes = encode(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded
