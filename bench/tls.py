"""What a full TLS handshake costs the server's processor, by the kind of the certificate's key.

Both ends are in memory, in one thread; only the processor time of the server's steps is counted.
The served pairs are made as the node makes its own. `both` serves P-256 beside RSA 2048, to a
client with OpenSSL's own wishes, as QVD's are.
"""

import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench import options
from bench.results_file import Figure, median, report
from qvdnode.tls.certificate import self_signed
from qvdnode.tls.identity import server_context

ROUNDS: Final = 7
HANDSHAKES: Final = 100
PUBLIC_EXPONENT: Final = 65_537

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
MAKERS: Final[dict[str, tuple[Callable[[], Key], ...]]] = {
    "p256": (lambda: ec.generate_private_key(ec.SECP256R1()),),
    "rsa2048": (lambda: rsa.generate_private_key(PUBLIC_EXPONENT, 2048),),
    "rsa3072": (lambda: rsa.generate_private_key(PUBLIC_EXPONENT, 3072),),
    "both": (
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: rsa.generate_private_key(PUBLIC_EXPONENT, 2048),
    ),
}
VERSIONS: Final = {"tls13": ssl.TLSVersion.TLSv1_3, "tls12": ssl.TLSVersion.TLSv1_2}


@dataclass
class Handshake:
    """One, from the first byte to the last."""

    server_s: float
    """Processor time of the server's steps."""
    key_bits: int
    """Of the certificate that was shown; 256 is P-256."""


def serving(makers: tuple[Callable[[], Key], ...], folder: Path) -> ssl.SSLContext:
    """The node's context with a fresh pair of each kind."""
    context = server_context()
    for number, make in enumerate(makers):
        key = make()
        certificate, secret = folder / f"{number}.crt", folder / f"{number}.key"
        certificate.write_bytes(self_signed(key, ("bench.example",), (), datetime.now(UTC)))
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        context.load_cert_chain(certificate, secret)
    return context


def client_context(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that takes any certificate, in one version of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    return context


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> Handshake:
    """A full handshake, without a session to resume."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    far = client.wrap_bio(down, up, server_hostname="bench.example")
    near = server.wrap_bio(up, down, server_side=True)
    spent_s = 0.0
    done = {"far": False, "near": False}
    while not all(done.values()):
        done["far"] = done["far"] or step(far)
        if not done["near"]:
            began_s = time.thread_time()
            done["near"] = step(near)
            spent_s += time.thread_time() - began_s
    shown = far.getpeercert(binary_form=True)
    public = x509.load_der_x509_certificate(shown or b"").public_key()
    bits = (
        public.key_size if isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) else 0
    )
    return Handshake(spent_s, bits)


def step(end: ssl.SSLObject) -> bool:
    """As far as an end gets with what has come; whether it is done."""
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def main() -> None:
    """All kinds in turn, round after round, so that a busy moment of the host hits them alike."""
    wanted = options.parsed(__doc__, rounds=ROUNDS)
    rates: dict[str, list[float]] = {}
    raw: dict[str, list[list[int]]] = {}
    shown: dict[str, set[int]] = {}
    with tempfile.TemporaryDirectory() as place:
        servers = {}
        for kind, makers in MAKERS.items():
            folder = Path(place) / kind
            folder.mkdir()
            servers[kind] = serving(makers, folder)
        for _ in range(wanted.rounds):
            for kind, server in servers.items():
                for name, version in VERSIONS.items():
                    key = f"{kind}_{name}"
                    client = client_context(version)
                    round_ = [shake_hands(server, client) for _ in range(HANDSHAKES)]
                    spent = [one.server_s for one in round_]
                    raw.setdefault(key, []).append([round(1e6 * one) for one in spent])
                    rates.setdefault(key, []).append(HANDSHAKES / sum(spent))
                    shown.setdefault(key, set()).update(one.key_bits for one in round_)
    figures: dict[str, Figure] = {
        f"{key}_handshakes_per_cpu_s": median(values) for key, values in rates.items()
    }
    report(
        "tls",
        figures,
        {
            "openssl": ssl.OPENSSL_VERSION,
            "key_bits_shown": {key: sorted(bits) for key, bits in shown.items()},
            "server_us": raw,
        },
        wanted,
    )


if __name__ == "__main__":
    main()
