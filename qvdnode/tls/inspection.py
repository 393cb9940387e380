"""Inspects a certificate and its key for `qvdnode doctor`."""

import ssl
import stat
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from qvdnode.model.errors import BadConfig
from qvdnode.tls.certificate import Identity, read_pair
from qvdnode.tls.host_names import Address
from qvdnode.tls.identity import context_serving

TRUSTED: Final = 0
"""Of X509_V_ERR."""


@dataclass(frozen=True, slots=True)
class PairFacts:
    """A chain and its key, which belong together. Names are as the certificates have them."""

    names: tuple[str, ...]
    addresses: tuple[Address, ...]
    issuer: str
    self_signed: bool
    valid_from: datetime
    valid_until: datetime
    """The earliest end in the chain."""
    length: int
    gap: str | None
    """The first certificate of the chain that the next one did not issue."""
    keys: tuple[tuple[str, int], ...]
    """Whose key has how many bits, the node's own first."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Facts about the pair and about the files that hold it."""

    pair: PairFacts
    key_mode: int
    vouched: bool
    """Whether this host's trusted authorities signed the chain; names are not checked."""


def inspect_files(certificate: Path, key: Path) -> FileFacts:
    """Read both files; raises BadConfig for a pair that cannot serve, and OSError."""
    pair = facts_of(read_pair(certificate.read_bytes(), key.read_bytes()))
    mode = stat.S_IMODE(key.stat().st_mode)
    return FileFacts(pair, mode, _verdict(context_serving(certificate, key)) == TRUSTED)


def facts_of(identity: Identity) -> PairFacts:
    """What the certificates say; raises BadConfig where they are damaged."""
    chain, leaf = identity.chain, identity.leaf
    try:
        names, addresses = _names_of(leaf)
        return PairFacts(
            names=names,
            addresses=addresses,
            issuer=_subject(leaf.issuer),
            self_signed=leaf.issuer == leaf.subject and _issued(leaf, leaf),
            valid_from=leaf.not_valid_before_utc,
            valid_until=min(one.not_valid_after_utc for one in chain),
            length=len(chain),
            gap=next(
                (
                    _subject(one.subject)
                    for one, above in pairwise(chain)
                    if not _issued(one, above)
                ),
                None,
            ),
            keys=tuple((_subject(one.subject), _bits(one)) for one in chain),
        )
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise BadConfig(
            "the certificate is damaged; install it anew", key="tls.certificate"
        ) from error


def _names_of(leaf: x509.Certificate) -> tuple[tuple[str, ...], tuple[Address, ...]]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    addresses = found.get_values_for_type(x509.IPAddress)
    return (
        tuple(found.get_values_for_type(x509.DNSName)),
        tuple(one for one in addresses if isinstance(one, Address)),
    )


def _subject(name: x509.Name) -> str:
    return name.rfc4514_string()


def _issued(one: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _bits(one: x509.Certificate) -> int:
    key = one.public_key()
    return key.key_size if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else 0


def _verdict(server: ssl.SSLContext) -> int:
    """Verify the chain with OpenSSL, by a handshake in memory; returns an X509_V_ERR code."""
    client = ssl.create_default_context()
    client.check_hostname = False
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)]
    try:
        while ends:
            ends = [end for end in ends if not _done(end)]
    except ssl.SSLCertVerificationError as error:
        return error.verify_code
    return TRUSTED


def _done(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
