"""Checks the certificate that the node shows to clients; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from qvdnode.cli.doctor.finding import Finding, error, ok, warning
from qvdnode.tls.inspection import FileFacts
from qvdnode.wire.plain_text import printable

SUBJECT: Final = "certificate"
NAMES: Final = "certificate names"
CHAIN: Final = "certificate chain"
KEY: Final = "certificate key"
SOON: Final = timedelta(days=14)
WEAK_BITS: Final = 1_024
"""QVD's clients refuse keys of so many bits or fewer, whatever their kind: P-256 has 256."""
OTHERS: Final = 0o077
ANEW: Final = (
    "Stop the node, remove tls/node.crt and tls/node.key in its state folder, and start it: users "
    "are then asked to accept the new one."
)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The certificate and key that a node would serve, and the names of the host."""

    own: bool
    """Whether the node issues the certificate itself."""
    found: FileFacts | None
    """None if there is none yet, or it cannot be read."""
    names: Sequence[str]
    addresses: Sequence[Address]
    refusal: str | None = None
    """Why it cannot be served."""
    closed: bool = False
    """Whether this user may not read it."""


def judge(facts: CertificateFacts, now: datetime) -> list[Finding]:
    """Return all findings about the certificate."""
    found = facts.found
    if facts.refusal is not None:
        fix = ANEW if facts.own else "Fix the files that tls.certificate and tls.key name."
        return [error(SUBJECT, printable(facts.refusal), fix)]
    if facts.closed:
        return [warning(SUBJECT, "Not checked: another user owns it", "Run the doctor as root.")]
    if found is None:
        return [ok(SUBJECT, "None yet; a node makes its own at its first start")]
    return [
        validity(found, now, own=facts.own),
        names(facts, found),
        chain(found, own=facts.own),
        key_file(found),
        key_kind(found, own=facts.own),
    ]


def validity(found: FileFacts, now: datetime, *, own: bool) -> Finding:
    """Whether it is valid now, and until when."""
    begin, end = found.pair.valid_from, found.pair.valid_until
    fix = "Start the node again, which makes a new one." if own else "Install a new one."
    if now < begin:
        return error(SUBJECT, f"Valid only from {begin:%Y-%m-%d}", "Look at the host's clock.")
    if now >= end:
        return error(SUBJECT, f"Expired on {end:%Y-%m-%d}", fix)
    if end - now < SOON:
        left = (end - now).days
        return warning(SUBJECT, f"Expires on {end:%Y-%m-%d}, in {left} days", fix)
    return ok(SUBJECT, f"{'Made by the node' if own else 'Yours'}, until {end:%Y-%m-%d}")


def names(facts: CertificateFacts, found: FileFacts) -> Finding:
    """Whether it has the names and addresses under which clients reach the host."""
    called = [*found.pair.names, *map(str, found.pair.addresses)]
    if not called:
        fix = "Get a certificate with names."
        return error(NAMES, "It has none, so that no client can check it", fix)
    lacking = [one for one in facts.names if not _any_covers(called, one)]
    hosts = list(map(str, facts.addresses))
    reached = any(_any_covers(called, one) for one in hosts)
    shown = printable(", ".join(called))
    if not facts.own:
        if reached or not facts.names or len(lacking) < len(facts.names):
            return ok(NAMES, shown)
        return warning(
            NAMES,
            f"It is for {shown}; this host is {printable(', '.join([*facts.names, *hosts]))}",
            "This works if clients use such a name; otherwise get a certificate for this host.",
        )
    if hosts and not reached:  # one will do: bridges and tunnels come and go
        lacking += hosts
    if lacking:
        text = f"It lacks {printable(', '.join(lacking))}: QVD's clients warn of such a name"
        return warning(NAMES, text, ANEW)
    return ok(NAMES, shown)


def _any_covers(called: Sequence[str], name: str) -> bool:
    return any(covers(one, name) for one in called)


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate's name matches a host name; a short host name may match a long one."""
    pattern, name = pattern.lower(), name.lower()
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return pattern == name or ("." not in name and pattern.partition(".")[0] == name)


def chain(found: FileFacts, *, own: bool) -> Finding:
    """Whether the file has all certificates from the node's to an authority that clients trust."""
    pair = found.pair
    if pair.gap is not None:
        return error(
            CHAIN,
            f"What follows on {printable(pair.gap)} in the file did not issue it",
            "Put the node's certificate first, then each authority's that issued the one before.",
        )
    if own or pair.self_signed:
        return ok(CHAIN, "Signed by itself: clients are asked once, and know it then by its pin")
    issuer = printable(pair.issuer)
    if found.vouched:
        return ok(CHAIN, f"Issued by {issuer}, which leads to an authority that this host trusts")
    if pair.length == 1:
        return warning(
            CHAIN,
            f"Issued by {issuer}, which this host does not trust, and nothing more is in the file",
            "Unless that is a root that clients are given: put its certificate into the file, too.",
        )
    return ok(CHAIN, f"Issued by {issuer}; clients must be given the root (--ca)")


def key_file(found: FileFacts) -> Finding:
    """Whether only the node can read the key, which is known to match the certificate."""
    if found.key_mode & OTHERS:
        return warning(
            KEY,
            f"Other users may read or write it (mode {found.key_mode:04o})",
            "Run chmod 600 on its file.",
        )
    return ok(KEY, f"Belongs to the certificate, mode {found.key_mode:04o}")


def key_kind(found: FileFacts, *, own: bool) -> Finding:
    """Whether QVD's own clients accept the keys of the chain."""
    weak = [
        f"{printable(who)} ({bits} bits)" for who, bits in found.pair.keys if 0 < bits <= WEAK_BITS
    ]
    if not weak:
        return ok("certificate kind", f"{found.pair.keys[0][1]} bits, which QVD's clients take")
    return warning(
        "certificate kind",
        f"QVD's own clients count bits and refuse it: {', '.join(weak)}",
        ANEW if own else "Have one of RSA 2048 made, by an authority with an RSA key.",
    )
