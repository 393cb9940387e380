"""Makes, loads, serves and reloads the node's certificate; open connections survive a reload."""

import contextlib
import os
import ssl
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from qvdnode.model.errors import BadConfig
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import Gauge
from qvdnode.tls.certificate import (
    RENEW_BEFORE,
    Identity,
    OwnKey,
    key_pem,
    new_key,
    read_identity,
    self_signed,
)
from qvdnode.tls.pin import fingerprint_of

EXPIRES = Gauge(
    "qvdnode_certificate_expires_timestamp_seconds", "When the served certificate runs out"
)

CERTIFICATE_FILE: Final = "node.crt"
KEY_FILE: Final = "node.key"
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only. 1.3 has no others."""


class NodeIdentity:
    """The certificate of this node and the TLS context that serves it.

    Give both `certificate` and `key`, or neither: then an own pair is kept in `folder`.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        if (certificate is None) != (key is None):
            missing = "tls.key" if key is None else "tls.certificate"
            raise BadConfig("certificate and key must be set together", key=missing)
        self._folder = folder
        self._clock = clock
        self._supplied = certificate is not None
        self._certificate = certificate or folder / CERTIFICATE_FILE
        self._key = key or folder / KEY_FILE
        self._identity: Identity | None = None
        self._context: ssl.SSLContext | None = None

    def ensure(
        self, names: Sequence[str], addresses: Sequence[IPv4Address | IPv6Address] = ()
    ) -> None:
        """Make an own certificate if there is none or it runs out, and load what there is.

        An existing one keeps its names when the host's change: clients have pinned it.
        Raises BadConfig when supplied files cannot serve.
        """
        if not self._supplied and self._needs_making():
            self._make(names, addresses)
        self.reload()

    def reload(self) -> None:
        """Load the files again for new connections; open ones are not changed.

        Raises BadConfig when the files cannot serve; the old certificate then stays in use.
        """
        identity = self._read()
        self._identity, self._context = identity, context_serving(self._certificate, self._key)
        EXPIRES.set(identity.expires_at.timestamp())

    def context(self) -> ssl.SSLContext:
        """The context for a new connection; after a reload it is another. Call `ensure` before.

        One context with a callback for the name that a client sends (SNI) would do, too. But Python
        prints a traceback for each name that is not ASCII, so that anybody could fill the log.
        """
        if self._context is None:
            raise RuntimeError("ensure() comes before context()")
        return self._context

    def fingerprint(self) -> str:
        """What clients pin: `SHA256:` and 64 hex digits; call `ensure` before."""
        if self._identity is None:
            raise RuntimeError("ensure() comes before fingerprint()")
        return fingerprint_of(self._identity.leaf.public_bytes(Encoding.DER))

    def _read(self) -> Identity:
        return read_identity(
            _read_file(self._certificate, "tls.certificate"),
            _read_file(self._key, "tls.key"),
            self._clock.now(),
        )

    def _needs_making(self) -> bool:
        if not self._certificate.exists():
            return True
        try:
            left = self._read().expires_at - self._clock.now()
        except BadConfig:
            return True  # incomplete after an interrupted first start, or expired
        return left < RENEW_BEFORE

    def _make(self, names: Sequence[str], addresses: Sequence[IPv4Address | IPv6Address]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = self._kept_key() or new_key()
        certificate = self_signed(key, tuple(names) or ("localhost",), addresses, self._clock.now())
        _write(self._key, key_pem(key), 0o600)
        _write(self._certificate, certificate, 0o644)

    def _kept_key(self) -> OwnKey | None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            key = load_pem_private_key(self._key.read_bytes(), password=None)
            if isinstance(key, OwnKey):
                return key
        return None


def server_context() -> ssl.SSLContext:
    """TLS as both ports speak it, without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def context_serving(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS that serves a pair; raises BadConfig when OpenSSL does not take it."""
    context = server_context()
    try:
        context.load_cert_chain(certificate, key, password=_refuse_passphrase)
    except ssl.SSLError as error:
        reason = (error.reason or "it does not say why").lower().replace("_", " ")
        raise BadConfig(
            f"TLS does not serve this pair ({reason}); use a key of RSA 2048 or P-256, and a"
            " certificate signed with SHA-256",
            key="tls.certificate",
        ) from error
    return context


def _refuse_passphrase() -> str:
    raise BadConfig("the key is protected by a passphrase; store it without one", key="tls.key")


def _read_file(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadConfig(f"{path} cannot be read: {error.strerror}", key=key) from error


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file atomically; others can never read it if `mode` forbids that."""
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
