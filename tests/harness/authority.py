"""A certificate authority of a test's own, and certificates that it or nobody vouches for."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from qvdnode.runtime.clock import SystemClock
from qvdnode.tls.host_names import sort_out

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
LONG = timedelta(days=3_000)
NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key; `above` is what vouches for it, the nearest first."""

    certificate: x509.Certificate
    key: Key
    above: tuple[x509.Certificate, ...] = ()

    def chain(self) -> bytes:
        """The certificate and those above it but the root, in PEM."""
        shown = (self.certificate, *self.above[:-1])
        return b"".join(one.public_bytes(Encoding.PEM) for one in shown)

    def key_pem(self) -> bytes:
        """The key, in PEM."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The files that a server is given: chain and key."""
        number = self.certificate.serial_number
        chain, key = folder / f"{number}.crt", folder / f"{number}.key"
        chain.write_bytes(self.chain())
        key.write_bytes(self.key_pem())
        key.chmod(0o600)
        return chain, key

    def context(self, folder: Path) -> ssl.SSLContext:
        """A server's TLS with it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.write(folder))
        return context

    @classmethod
    def self_signed(
        cls, names: Sequence[str] = NAMES, *, left: timedelta = LONG, key: Key | None = None
    ) -> Self:
        """One that vouches for itself; `left` is how long it will be valid."""
        key = key or _key()
        return cls(_signed(names, key, None, left=left, ca=False), key)


class Authority:
    """Signs certificates: a root, or one below another authority."""

    def __init__(self, name: str = "Test authority", above: "Authority | None" = None) -> None:
        key = _key()
        signer: Pair | None = None if above is None else above.pair
        certificate = _signed((name,), key, signer, left=LONG, ca=True)
        self.pair: Pair = Pair(certificate, key, _above(signer))

    def write(self, folder: Path) -> Path:
        """The file that its clients are given."""
        path = folder / f"authority-{self.pair.certificate.serial_number}.pem"
        path.write_bytes(self.pair.certificate.public_bytes(Encoding.PEM))
        return path

    def issue(
        self, names: Sequence[str] = NAMES, *, left: timedelta = LONG, key: Key | None = None
    ) -> Pair:
        """A server's certificate for these names and addresses, with a fresh key unless given."""
        key = key or _key()
        return Pair(_signed(names, key, self.pair, left=left, ca=False), key, _above(self.pair))


def _key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _above(signer: Pair | None) -> tuple[x509.Certificate, ...]:
    return () if signer is None else (signer.certificate, *signer.above)


def _signed(
    names: Sequence[str], key: Key, signer: Pair | None, *, left: timedelta, ca: bool
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    end = SystemClock().now() + left
    called, addresses = sort_out(() if ca else names)
    alternatives = [
        *map(x509.DNSName, called),
        *(x509.IPAddress(ip_address(str(address))) for address in addresses),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if signer is None else signer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(SystemClock().now(), end) - timedelta(days=30))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(key if signer is None else signer.key, hashes.SHA256())
