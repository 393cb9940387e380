"""The farm's own certificate authority: makes it, signs nodes' certificates, reads them. In memory.

A node's certificate names the farm and the node in a URI, and nothing else counts in it. A node
keeps its key when the certificate is renewed, so other nodes recognise it by the key's digest.
"""

import base64
import hashlib
import re
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qvdnode.model.ids import FarmId, NodeId

AUTHORITY_LIFE: Final = timedelta(days=7300)
NODE_LIFE: Final = timedelta(days=90)
RENEW_BEFORE: Final = timedelta(days=30)
"""A node's certificate with less than this left is renewed."""
BACKDATED: Final = timedelta(days=1)
"""So that a node whose clock is behind accepts it; the hello tells how far clocks differ."""
NODE_URI: Final = re.compile(r"qvdnode://([0-9a-f-]{36})/node/([1-9][0-9]{0,9})")


class BadCertificate(ValueError):
    """A certificate or key that is none of a farm's node."""


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """What a node's certificate proves."""

    farm_id: FarmId
    node_id: NodeId
    key_digest: bytes
    expires_at: datetime


def new_node_key() -> bytes:
    """A new private key in PEM; only programs of ours read these certificates, so it is P-256."""
    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def public_key(key_pem: bytes) -> bytes:
    """The public half of a private key, as SubjectPublicKeyInfo in DER; raises BadCertificate."""
    return _spki(_private(key_pem).public_key())


def key_digest(spki: bytes) -> bytes:
    """What other nodes recognise a node's key by."""
    return hashlib.sha256(spki).digest()


@dataclass(frozen=True, slots=True)
class FarmAuthority:
    """The authority with its private key."""

    certificate_pem: bytes
    key_pem: bytes

    @classmethod
    def new(cls, farm_id: FarmId, now: datetime) -> "FarmAuthority":
        """Make the authority of a new farm."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"qvdnode farm {farm_id}")])
        certificate = (
            _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        return cls(certificate.public_bytes(Encoding.PEM), _key_pem(key))

    @staticmethod
    def check_key(spki: bytes) -> None:
        """Raise BadCertificate for what `sign` would not sign."""
        _public(spki)

    def sign(self, spki: bytes, farm_id: FarmId, node_id: NodeId, now: datetime) -> bytes:
        """A certificate in PEM for a node's public key; raises BadCertificate for no P-256 key."""
        key, authority = (
            _private(self.key_pem),
            x509.load_pem_x509_certificate(self.certificate_pem),
        )
        public = _public(spki)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"node {node_id}")])
        uri = x509.UniformResourceIdentifier(f"qvdnode://{farm_id}/node/{node_id}")
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _builder(subject, authority.subject, public, now, NODE_LIFE)
            .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)


def authority_pin(certificate_pem: bytes) -> str:
    """What an invitation says of the authority: 43 letters, the digest of its certificate.

    Raises BadCertificate.
    """
    der = _certificate(certificate_pem).public_bytes(Encoding.DER)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def read_node(certificate: bytes) -> PeerIdentity:
    """Who a node's certificate (PEM or DER) names; raises BadCertificate. Trust is TLS's part."""
    read = _certificate(certificate)
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError) as error:
        raise BadCertificate("the certificate names no node") from error
    match = NODE_URI.fullmatch(uris[0]) if len(uris) == 1 else None
    if match is None:
        raise BadCertificate("the certificate names no node")
    return PeerIdentity(
        FarmId(match.group(1)),
        NodeId(int(match.group(2))),
        key_digest(_spki(read.public_key())),
        read.not_valid_after_utc,
    )


def server_context(authority_pem: bytes, certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.3 for the peer port: a caller shows a certificate of the farm, or none.

    Who shows none can only ask to join. Raises ssl.SSLError, OSError.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, authority_pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0  # every connection shows its certificate
    context.load_cert_chain(certificate, key)
    return context


def client_context(
    authority_pem: bytes | None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """TLS 1.3 towards a node. Without an authority anybody may answer: nothing secret is said then.

    Raises ssl.SSLError, OSError.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, authority_pem)
    context.check_hostname = False  # nodes are told apart by the URI, see read_node
    context.verify_mode = ssl.CERT_NONE if authority_pem is None else ssl.CERT_REQUIRED
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def _context(protocol: "ssl._SSLMethod", authority_pem: bytes | None) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    if authority_pem is not None:
        context.load_verify_locations(cadata=authority_pem.decode("ascii"))
    return context


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate(content: bytes) -> x509.Certificate:
    try:
        if content.startswith(b"-----"):
            return x509.load_pem_x509_certificate(content)
        return x509.load_der_x509_certificate(content)
    except (ValueError, x509.InvalidVersion) as error:
        raise BadCertificate("no certificate") from error


def _private(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadCertificate("no private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadCertificate("no P-256 key")
    return key


def _public(spki: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadCertificate("no public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadCertificate("no P-256 key")
    return key


def _spki(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadCertificate("no P-256 key")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
